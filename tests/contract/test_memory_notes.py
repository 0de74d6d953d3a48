"""Notes in memory, under the suite of their port."""

# ruff: noqa: D102 - the suite's harness says what each method is for

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest

from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.ports.note_store import NoteStore
from galaxy_core.testing.contracts import NoteStoreContract, NoteStoreHarness
from galaxy_core.testing.memory import Faults, ManualClock, MemoryNoteStore, NoteBox


class MemoryNoteStoreHarness(NoteStoreHarness):
    """A box of notes, opened by several processes that one `Faults` can trouble."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.box = NoteBox()
        self.faults = Faults()

    async def open(self) -> NoteStore:
        return MemoryNoteStore(self.clock, self.box, faults=self.faults)

    def now(self) -> datetime:
        return self.clock.now()

    async def elapse(self, duration: timedelta) -> None:
        await self.clock.elapse(duration)

    async def restart(self) -> None:
        """The box outlives every process; nothing of their own has to go."""

    @asynccontextmanager
    async def refusing(self) -> AsyncIterator[None]:
        for method in ("get", "list", "add", "put", "close", "prune", "closed"):
            self.faults.fail(f"notes.{method}", StorageUnavailable("refused"), times=None)
        yield
        self.faults.clear()


class TestMemoryNoteStore(NoteStoreContract):
    """Notes."""

    @pytest.fixture
    def harness(self) -> MemoryNoteStoreHarness:
        """Give an empty box."""
        return MemoryNoteStoreHarness()
