"""What the sessions file owes older readers, hand editors and crashes; the rest is the contract."""

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from galaxy_adapters.sessions_json import JsonSessionStore, OldSessions
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.ids import ConversationKey
from galaxy_core.domain.session import Session
from galaxy_core.testing.clock import START, ManualClock
from galaxy_core.testing.factories import make_order
from galaxy_core.testing.memory import (
    MemoryIncidentSink,
    MemoryOrderCatalogue,
    MemoryOrderQueue,
    MemoryOrders,
)
from galaxy_core.wire.layout import Layout
from tests.unit.galaxy_adapters.dying import every_death

pytestmark = pytest.mark.anyio
OWN = ConversationKey("machine:lab")
CHAT = ConversationKey("telegram:5")


class Machine:
    """A machine's sessions file and what is reported about it."""

    def __init__(self, folder: Path) -> None:
        self.layout = Layout(folder)
        self.file = self.layout.sessions
        self.file.parent.mkdir(parents=True)
        self.incidents = MemoryIncidentSink()

    def store(self) -> JsonSessionStore:
        """The store as one more process opens it, impatient with half-written files."""
        return JsonSessionStore(
            self.layout, ManualClock(), self.incidents, OWN, patience=timedelta(milliseconds=80)
        )

    def read(self) -> dict[str, object]:
        """The file's members."""
        members = json.loads(self.file.read_text())
        assert isinstance(members, dict)
        return members


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine without conversations."""
    return Machine(tmp_path)


async def test_originals_session_goes_on(machine: Machine) -> None:
    """The old form of one session is the machine's own conversation."""
    machine.file.write_text('{"session_id": "ses_1", "updated_at": "2026-02-02T12:00:00+00:00"}')
    found = await machine.store().get(OWN)
    assert found is not None
    assert (found.session_id, found.updated_at) == ("ses_1", START)


async def test_older_readers_still_find_their_session(machine: Machine) -> None:
    """`session_id` and `updated_at` of the machine's own conversation stand on top."""
    store = machine.store()
    await store.put(Session(conversation=CHAT, session_id="ses_chat", updated_at=START))
    assert "session_id" not in machine.read()
    await store.put(Session(conversation=OWN, session_id="ses_own", updated_at=START))
    members = machine.read()
    assert (members["session_id"], members["updated_at"]) == ("ses_own", START.isoformat())


async def test_fields_of_others_are_kept(machine: Machine) -> None:
    """What somebody else wrote, on top or in a conversation, survives a change of that one."""
    machine.file.write_text(
        json.dumps({"colour": "blue", "conversations": {CHAT: {"session_id": "a", "mood": "ok"}}})
    )
    await machine.store().put(Session(conversation=CHAT, session_id="b"))
    members = machine.read()
    assert members["colour"] == "blue"
    assert members["conversations"] == {CHAT: {"session_id": "b", "mood": "ok"}}


@pytest.mark.parametrize("content", [b"", b'{"session_id": "ses', b"[]", b"\xff\xfe\0"])
async def test_broken_file_is_kept_aside_and_reported(machine: Machine, content: bytes) -> None:
    """No crash loop: the file is kept for a person, who hears of it, and sessions begin anew."""
    machine.file.write_bytes(content)
    store = machine.store()
    assert await store.get(OWN) is None
    (kept,) = machine.file.parent.glob("hermes-session.json.corrupt-*")
    assert kept.read_bytes() == content
    (incident,) = machine.incidents.incidents
    assert incident.is_for_people
    assert kept.name in incident.message
    await store.put(Session(conversation=OWN, session_id="ses_new"))
    found = await machine.store().get(OWN)
    assert found is not None
    assert found.session_id == "ses_new"


async def test_second_broken_file_does_not_replace_the_first(machine: Machine) -> None:
    """Two accidents in one second are two files."""
    for content in (b"one", b"two"):
        machine.file.write_bytes(content)
        assert await machine.store().get(OWN) is None
    kept = machine.file.parent.glob("hermes-session.json.corrupt-*")
    assert {file.read_bytes() for file in kept} == {b"one", b"two"}


async def test_file_that_is_being_written_is_waited_for(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A half-written file is not condemned: its writer finishes within a moment."""
    machine.file.write_text('{"session_id": "ses')
    monkeypatch.setattr(
        "galaxy_adapters.sessions_json.store.time.sleep",
        lambda _: machine.file.write_text('{"session_id": "ses_1"}'),
    )
    found = await machine.store().get(OWN)
    assert found is not None
    assert found.session_id == "ses_1"
    assert not machine.incidents.incidents


def test_death_at_every_step_leaves_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever the process dies while it writes, the file is whole and others go on."""
    machines: list[Machine] = []

    def prepare(number: int) -> Callable[[], object]:
        machine = Machine(tmp_path / str(number))
        machines.append(machine)
        machine.store()._put(Session(conversation=CHAT, session_id="old"))
        new = Session(conversation=CHAT, session_id="new")
        return lambda: machine.store()._put(new)

    for _, is_alive in every_death(monkeypatch, prepare):
        machine = machines[-1]
        found = machine.store()._read().sessions[CHAT]
        assert found.session_id == "new" if is_alive else found.session_id in ("old", "new")
        machine.store()._put(Session(conversation=OWN, session_id="after"))
        assert not machine.incidents.incidents


async def test_folder_that_refuses_is_an_error_with_advice(tmp_path: Path) -> None:
    """A file where the folder should be is said, not swallowed."""
    (tmp_path / ".galaxy").write_text("in the way")
    store = JsonSessionStore(Layout(tmp_path), ManualClock(), MemoryIncidentSink(), OWN)
    with pytest.raises(StorageUnavailable, match="a file stands where a folder should be"):
        await store.put(Session(conversation=OWN, session_id="ses"))


async def test_unchanged_file_is_not_read_again(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each order asks for its conversation: that must not cost a parse of all of them."""
    store = machine.store()
    await store.put(Session(conversation=OWN, session_id="ses"))
    assert await store.get(OWN) is not None
    monkeypatch.setattr(os, "read", None)
    assert await store.get(OWN) is not None


async def test_conversations_that_nobody_goes_on_with_can_go(machine: Machine) -> None:
    """What was used since, what was chosen or is waited for, machines' own, others' words stay."""
    store, month = machine.store(), timedelta(days=30)
    old, chosen = ConversationKey("files:1"), ConversationKey("telegram:6")
    waiting, shared = ConversationKey("files:2"), ConversationKey("machine:other")
    for session in (
        Session(conversation=OWN, session_id="ses_1", updated_at=START),
        Session(conversation=old, session_id="ses_2", updated_at=START),
        Session(conversation=chosen, session_id="ses_3", updated_at=START, model="a/b"),
        Session(conversation=waiting, session_id="ses_5", updated_at=START),
        Session(conversation=shared, session_id="ses_6", updated_at=START),
        Session(conversation=CHAT, session_id="ses_4", updated_at=START + month),
    ):
        await store.put(session)
    members = machine.read()
    machine.file.write_text(json.dumps({**members, "mine": 1}))
    orders = MemoryOrders(ManualClock())
    await MemoryOrderQueue(orders).enqueue(make_order(session=waiting))
    records = OldSessions(store, MemoryOrderCatalogue(orders), "test")
    assert (await records.measure(START + month)).count == 1
    assert len(await store.list()) == 6
    assert (await records.remove(START + month)).count == 1
    assert (await records.remove(START + month)).count == 0
    assert await store.get(old) is None
    conversations = machine.read()["conversations"]
    assert isinstance(conversations, dict)
    assert set(conversations) == {OWN, chosen, CHAT, waiting, shared}
    assert (machine.read()["mine"], machine.read()["session_id"]) == (1, "ses_1")


async def test_where_there_are_no_conversations_none_go(machine: Machine) -> None:
    """Tidying makes no file."""
    catalogue = MemoryOrderCatalogue(MemoryOrders(ManualClock()))
    assert (await OldSessions(machine.store(), catalogue, "test").remove(START)).count == 0
    assert not machine.file.exists()
