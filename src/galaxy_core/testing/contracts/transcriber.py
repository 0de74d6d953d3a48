"""What a transcriber owes its port."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import anyio
import pytest
from attrs import frozen

from galaxy_core.domain.errors import PermanentError, TransientError
from galaxy_core.ports.transcriber import Transcriber
from galaxy_core.testing.contracts.contract import Contract, requires


@frozen(kw_only=True)
class TranscriberFeatures:
    """What a transcriber can do beyond the bare contract."""

    has_outages: bool = True
    """The harness can make it fail for a passing reason."""
    can_refuse: bool = True
    """The harness can make it fail for good."""


class TranscriberHarness(ABC):
    """One transcriber whose recordings are known."""

    @abstractmethod
    async def open(self) -> Transcriber:
        """The transcriber."""

    @abstractmethod
    def record(self, words: str) -> Path:
        """Make a recording in which somebody says that."""

    def be_in_trouble(self) -> None:
        """Fail at the next recording, for a passing reason."""
        raise NotImplementedError

    def refuse(self) -> None:
        """Fail at the next recording, for good."""
        raise NotImplementedError


class TranscriberContract(Contract):
    """Spoken words into text."""

    features: ClassVar[TranscriberFeatures] = TranscriberFeatures()

    async def test_what_is_said_comes_back(self, harness: TranscriberHarness) -> None:
        """The words become the order: nothing is added or taken away."""
        words = "Grüße! Run “make test” — bitte 🚀"
        assert await (await harness.open()).transcribe(harness.record(words), "audio/ogg") == words

    async def test_silence_is_an_empty_text(self, harness: TranscriberHarness) -> None:
        """A recording without words is no error."""
        assert await (await harness.open()).transcribe(harness.record(" \n")) == ""

    async def test_recordings_are_not_mixed_up(self, harness: TranscriberHarness) -> None:
        """Two people who speak at the same time each get their own words."""
        transcriber = await harness.open()
        heard: dict[str, str] = {}

        async def listen(words: str) -> None:
            heard[words] = await transcriber.transcribe(harness.record(words))

        async with anyio.create_task_group() as group:
            for words in ("one", "two", "three"):
                group.start_soon(listen, words, name=words)
        assert heard == {words: words for words in ("one", "two", "three")}

    async def test_a_recording_that_is_gone(self, harness: TranscriberHarness) -> None:
        """Trying again does not bring it back."""
        recording = harness.record("x").with_name("nothing.ogg")
        with pytest.raises(PermanentError, match=r"^[A-Z].*\.$"):
            await (await harness.open()).transcribe(recording)

    @requires("has_outages")
    async def test_trouble_passes(self, harness: TranscriberHarness) -> None:
        """The caller may try again later."""
        harness.be_in_trouble()
        with pytest.raises(TransientError):
            await (await harness.open()).transcribe(harness.record("x"))

    @requires("can_refuse")
    async def test_a_refusal_is_told_in_a_sentence(self, harness: TranscriberHarness) -> None:
        """The person reads it in the chat."""
        harness.refuse()
        with pytest.raises(PermanentError, match=r"^[A-Z].*\.$"):
            await (await harness.open()).transcribe(harness.record("x"))
