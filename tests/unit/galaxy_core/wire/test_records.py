"""Our own records: events, commands, journals and heartbeats survive the trip to the disk."""

from datetime import UTC, datetime, timedelta

import pytest
from attrs import resolve_types
from hypothesis import given
from hypothesis import strategies as st

from galaxy_core.domain import run
from galaxy_core.domain.delivery import Settlement, Ticket, TicketKind
from galaxy_core.domain.errors import UnreadableFile
from galaxy_core.domain.ids import OrderId, RequestId
from galaxy_core.domain.operations import (
    AnswerGiven,
    CancelRequested,
    ControlCommand,
    Heartbeat,
    ProgressItem,
)
from galaxy_core.domain.response import Ending, Outcome, Usage
from galaxy_core.wire.events import (
    answer_from,
    answer_members,
    decode_command,
    decode_item,
    encode_command,
    encode_item,
    event_from,
    event_members,
)
from galaxy_core.wire.heartbeat import decode_heartbeat, encode_heartbeat
from galaxy_core.wire.journal import decode_entry, encode_entry
from tests.unit.galaxy_core.wire.strategies import any_text, json_values, times

NOW = datetime(2026, 2, 2, 12, 0, tzinfo=UTC)

spans = st.timedeltas(timedelta(0), timedelta(days=9))
st.register_type_strategy(datetime, times)
st.register_type_strategy(timedelta, spans)
st.register_type_strategy(str, any_text)
st.register_type_strategy(float, st.floats(0, 1e6))

# Hypothesis looks at the types, and these are written as text.
for kind in (*run.RunEvent.__args__, *run.Answer.__args__):
    resolve_types(kind)
for record in (Heartbeat, Ending, Usage, Ticket, Settlement):
    resolve_types(record, localns={"JSONValue": object})

events: st.SearchStrategy[run.RunEvent] = st.one_of(
    *(st.from_type(kind) for kind in run.RunEvent.__args__)
)
answers: st.SearchStrategy[run.Answer] = st.one_of(
    *(st.from_type(kind) for kind in run.Answer.__args__)
)
endings = st.builds(Ending, outcome=st.sampled_from(Outcome), usage=st.none() | st.builds(Usage))


@given(events, times)
def test_event(event: run.RunEvent, at: datetime) -> None:
    """Every event of a run comes back as it was, alone and as a line of a feed."""
    assert event_from(event_members(event)) == event
    item = ProgressItem(number=1, at=at, event=event)
    line = encode_item(item)
    assert decode_item(line) == item
    assert line.count(b"\n") == 1


@given(answers)
def test_answer(answer: run.Answer) -> None:
    """Every answer of a person comes back as it was, alone and as a command."""
    assert answer_from(answer_members(answer)) == answer
    command = AnswerGiven(order_id=OrderId("x"), request_id=RequestId("r"), answer=answer, at=NOW)
    assert decode_command(encode_command(command)) == command


@given(st.builds(CancelRequested))
def test_cancellation(command: ControlCommand) -> None:
    """A cancellation comes back as it was."""
    assert decode_command(encode_command(command)) == command


@given(
    st.builds(
        Ticket,
        kind=st.sampled_from(TicketKind),
        created_at=st.none() | times,
        data=st.dictionaries(any_text, json_values, max_size=3),
    )
    | st.builds(Settlement, ending=endings)
)
def test_journal(entry: Ticket | Settlement) -> None:
    """Tickets and settlements come back as they were, one line each."""
    line = encode_entry(entry)
    assert decode_entry(line) == entry
    assert line.count(b"\n") == 1


@given(st.builds(Heartbeat, pid=st.none() | st.integers(0, 1 << 22)))
def test_heartbeat(heartbeat: Heartbeat) -> None:
    """A heartbeat comes back as it was, where its words are no empty ones."""
    found = decode_heartbeat(encode_heartbeat(heartbeat))
    assert (found.started_at, found.last_heartbeat_at) == (
        heartbeat.started_at,
        heartbeat.last_heartbeat_at,
    )
    assert (found.pid, found.running, found.orders_processed) == (
        heartbeat.pid,
        heartbeat.running,
        heartbeat.orders_processed,
    )
    assert found.status == (heartbeat.status or "unknown")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b'{"type": "ticket", "dispatcher": "d"',
        b'{"type": "ticket", "dispatcher": "d"}',
        b'{"type": "settlement", "order_id": "x", "text": "y", "ending": {"outcome": "great"}}',
        b'{"type": "other"}',
        b"\0\0\0\0",
    ],
)
def test_torn_journal_line(line: bytes) -> None:
    """A line that is none is unreadable, so that readers pass over it."""
    with pytest.raises(UnreadableFile):
        decode_entry(line)


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b'{"type": "self_destruct"}',
        b'{"type": ["cancel_requested"]}',
        b'{"type": "cancel_requested", "order_id": "x", "at": "then"}',
        b'{"type": "answer_given", "order_id": "x", "request_id": "r", "at": 5, "answer": 5}',
    ],
)
def test_unknown_command(data: bytes) -> None:
    """A command that nobody understands is unreadable, not a crash."""
    with pytest.raises(UnreadableFile):
        decode_command(data)


def test_newer_members_are_ignored() -> None:
    """An event of a newer version is read as far as it is known."""
    members = {"type": "noticed", "message": "x", "colour": "red"}
    assert event_from(members) == run.Noticed(message="x")
