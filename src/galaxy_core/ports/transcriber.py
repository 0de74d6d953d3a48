"""Port: spoken words into text."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Protocol


class Transcriber(Protocol):
    """Listens to recordings."""

    @abstractmethod
    async def transcribe(self, recording: Path, mime: str | None = None) -> str:
        """What is said in it; empty when nothing is.

        Raises `TransientError`, `PermanentError` with a sentence for people.
        """
