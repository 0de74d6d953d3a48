"""Old records of the trail, the page's chat and the notes, each under the suite of their port."""

# ruff: noqa: D102 - the suites' harnesses say what each method is for

import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from galaxy_adapters.audit_jsonl import JsonlAuditSink, OldAuditParts
from galaxy_adapters.audit_jsonl._parts import Trail as AuditParts
from galaxy_adapters.channel_web import OldHistory, WebChannel, WebChannelConfig
from galaxy_adapters.channel_web import _history as history
from galaxy_core.ports.note_store import Note
from galaxy_core.ports.old_files import OldRecords
from galaxy_core.services.tidying import OldNotes
from galaxy_core.testing.contracts import (
    OldRecordsContract,
    OldRecordsFeatures,
    OldRecordsHarness,
)
from galaxy_core.testing.factories import make_address, make_event, make_letter, unique
from galaxy_core.testing.memory import MemoryNoteStore, NoteBox
from tests.contract.files_harness import FilesHarness
from tests.contract.memory_harness import MemoryHarness


class OldPartsHarness(FilesHarness[OldRecords], OldRecordsHarness):
    """A trail whose parts are full after a line or two."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, lambda its: OldAuditParts(its.layout.audit_log))

    async def add(self, age: timedelta, *, is_over: bool = True) -> None:
        path = self.layout.audit_log
        await JsonlAuditSink(path, rotate_bytes=None).record([make_event()])
        changed = (self.now() - age).timestamp()
        os.utime(path, (changed, changed))
        if is_over:
            # The next line finds it full, and puts it aside.
            await JsonlAuditSink(path, rotate_bytes=1).record([make_event()])


class TestOldAuditParts(OldRecordsContract):
    """Parts of the trail."""

    @pytest.fixture
    def harness(self, tmp_path: Path) -> OldPartsHarness:
        """Give a machine without a trail."""
        return OldPartsHarness(tmp_path)

    async def test_parts_that_another_removes_meanwhile(
        self, harness: OldPartsHarness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Machines that share a folder tidy it at the same time: what is gone is no error."""
        for _ in range(2):
            await harness.add(timedelta(days=2))
        listed = AuditParts(harness.layout.audit_log).full_parts()
        listed[0].unlink()
        monkeypatch.setattr(AuditParts, "full_parts", lambda _: listed)
        records, before = await harness.open(), harness.now() - timedelta(days=1)
        assert (await records.measure(before)).count == len(listed) - 1
        unlink = Path.unlink

        def unlink_late(path: Path) -> None:
            unlink(path)
            unlink(path)

        monkeypatch.setattr(Path, "unlink", unlink_late)
        assert (await records.remove(before)).count == 0


class OldHistoryHarness(FilesHarness[OldRecords], OldRecordsHarness):
    """A chat in which Galaxy said something, or a person whom nobody has heard yet."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder, lambda its: OldHistory(its.layout.web_channel, its.clock, its.incidents)
        )

    async def add(self, age: timedelta, *, is_over: bool = True) -> None:
        config = WebChannelConfig(is_person=lambda _: True)
        self.clock.jump(-age)
        folder = self.layout.web_channel
        async with WebChannel(folder, self.clock, self.incidents, config) as channel:
            await channel.send(make_letter(), make_address(channel="web", chat_id="owner/general"))
            if not is_over:
                await channel._database.write(
                    lambda db: history.add_inbound(db, unique("key"), self.clock.now(), {"a": 1})
                )
        self.clock.jump(age)


class TestOldHistory(OldRecordsContract):
    """Messages of the page's chat."""

    @pytest.fixture
    async def harness(self, tmp_path: Path) -> AsyncIterator[OldHistoryHarness]:
        """Give a page on which nobody ever wrote; nothing may be set aside."""
        harness = OldHistoryHarness(tmp_path)
        yield harness
        assert harness.incidents.kinds == []


class OldNotesHarness(MemoryHarness[OldRecords], OldRecordsHarness):
    """Keys of one kind, closed or open."""

    def __init__(self) -> None:
        super().__init__(
            lambda its: OldNotes(MemoryNoteStore(its.clock, self.box, faults=its.faults), ["a"])
        )
        self.box = NoteBox()

    async def add(self, age: timedelta, *, is_over: bool = True) -> None:
        self.clock.jump(-age)
        notes, key = MemoryNoteStore(self.clock, self.box), unique("key")
        await notes.add([Note(kind="a", key=key), Note(kind="another", key=key)])
        if is_over:
            await notes.close("a", [key])
        await notes.close("another", [key])
        self.clock.jump(age)


class TestOldNotes(OldRecordsContract):
    """Keys of notes; other kinds are none of theirs."""

    features = OldRecordsFeatures(has_sizes=False)

    @pytest.fixture
    def harness(self) -> OldNotesHarness:
        """Give an empty box."""
        return OldNotesHarness()
