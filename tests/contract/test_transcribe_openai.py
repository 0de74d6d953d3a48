"""The transcription client under the suite of its port."""

# ruff: noqa: D102 - the suite's harness says what each method is for

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from galaxy_adapters.transcribe_openai import OpenAITranscriber, TranscriptionService
from galaxy_core.ports.transcriber import Transcriber
from galaxy_core.testing.contracts import TranscriberContract, TranscriberHarness
from galaxy_core.testing.http import Response
from tests.transcription_service import TranscriptionServer, transcription_server


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
