"""Listens to nothing: what each recording says is told beforehand."""

from __future__ import annotations

from pathlib import Path

from attrs import define, field

from galaxy_core.domain.errors import PermanentError
from galaxy_core.ports.transcriber import Transcriber
from galaxy_core.testing.faults import Faults


@define(eq=False)
class MemoryTranscriber(Transcriber):
    """Knows some recordings by name; its one operation is `transcriber.transcribe`."""

    words: dict[str, str] = field(factory=dict)
    """What is said in a recording, by the name of its file."""
    heard: list[Path] = field(factory=list)
    """What it was asked to listen to."""
    faults: Faults = field(factory=Faults, kw_only=True)

    async def transcribe(self, recording: Path, mime: str | None = None) -> str:  # noqa: ARG002
        async with self.faults.around("transcriber.transcribe", is_write=False):
            self.heard.append(recording)
            if recording.name not in self.words:
                raise PermanentError("The recording is not there any more: send it again.")
            return self.words[recording.name].strip()
