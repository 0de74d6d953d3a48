"""Transcribers under the suite of their port."""

# ruff: noqa: D102 - the suite's harness says what each method is for

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from galaxy_adapters.transcribe_openai import OpenAITranscriber, TranscriptionService
from galaxy_core.domain.errors import PermanentError, TransientError
from galaxy_core.ports.transcriber import Transcriber
from galaxy_core.testing.contracts import TranscriberContract, TranscriberHarness
from galaxy_core.testing.http import Response
from galaxy_core.testing.memory import MemoryTranscriber
from tests.transcription_service import TranscriptionServer, transcription_server


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


class OpenAIHarness(TranscriberHarness):
    """The client, and a server on this machine."""

    def __init__(self, server: TranscriptionServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.transcriber = OpenAITranscriber(TranscriptionService(url=server.url, model="m"))

    async def open(self) -> Transcriber:
        return self.transcriber

    def record(self, words: str) -> Path:
        recording = self.folder / f"{len(list(self.folder.iterdir()))}.ogg"
        recording.write_text(words, encoding="utf-8")
        return recording

    def be_in_trouble(self) -> None:
        self.server.answer = Response.of({"error": {}}, 503)

    def refuse(self) -> None:
        self.server.answer = Response.of({"error": {}}, 400)


class TestOpenAITranscriber(TranscriberContract):
    """Over HTTP."""

    @pytest.fixture
    async def harness(self, tmp_path: Path) -> AsyncIterator[OpenAIHarness]:
        """Give a server that is up."""
        async with transcription_server() as server:
            harness = OpenAIHarness(server, tmp_path)
            yield harness
            await harness.transcriber.aclose()
