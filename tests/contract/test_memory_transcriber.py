"""The transcriber in memory under the suite of its port."""

# ruff: noqa: D102 - the suite's harness says what each method is for

from pathlib import Path

import pytest

from galaxy_core.domain.errors import PermanentError, TransientError
from galaxy_core.ports.transcriber import Transcriber
from galaxy_core.testing.contracts import TranscriberContract, TranscriberHarness
from galaxy_core.testing.memory import MemoryTranscriber


class MemoryHarness(TranscriberHarness):
    """Recordings that exist in name only."""

    def __init__(self) -> None:
        self.transcriber = MemoryTranscriber()

    async def open(self) -> Transcriber:
        return self.transcriber

    def record(self, words: str) -> Path:
        name = f"{len(self.transcriber.words)}.ogg"
        self.transcriber.words[name] = words
        return Path("/recordings") / name

    def be_in_trouble(self) -> None:
        self.transcriber.faults.fail("transcriber.transcribe", TransientError("later"))

    def refuse(self) -> None:
        self.transcriber.faults.fail("transcriber.transcribe", PermanentError("It will not."))


class TestMemoryTranscriber(TranscriberContract):
    """In memory."""

    @pytest.fixture
    def harness(self) -> MemoryHarness:
        """Give one without recordings."""
        return MemoryHarness()
