"""What bus events mean, also when some of them are missing."""

from galaxy_adapters.dispatch_opencode_server.events import BusEvent
from galaxy_adapters.dispatch_opencode_server.turn import Turn
from galaxy_core.domain.ids import RequestId
from galaxy_core.domain.run import (
    FilesChanged,
    PermissionRequested,
    ProviderRetrying,
    RequestResolved,
    RunEvent,
    StepFinished,
    TextAppended,
    ToolChanged,
    UsageReported,
)

ROOT, CHILD = "ses_root", "ses_child"
OURS, ANSWER = "msg_2", "msg_3"
TOKENS = {"input": 7, "output": 3, "reasoning": 0, "cache": {"read": 1, "write": 0}}


def event(kind: str, session: str = ROOT, **properties: object) -> BusEvent:
    """Make an event of the bus."""
    return BusEvent(kind=kind, properties=properties, session=session)


def message(identity: str, role: str, session: str = ROOT, **info: object) -> BusEvent:
    """Make the event of a message."""
    return event("message.updated", session, info={"id": identity, "role": role, **info})


def part(session: str = ROOT, message_id: str = ANSWER, **content: object) -> BusEvent:
    """Make the event of a part of a message."""
    return event("message.part.updated", session, part={"messageID": message_id, **content})


def text(
    identity: str,
    content: str,
    *,
    is_whole: bool = False,
    message_id: str = ANSWER,
    synthetic: bool = False,
) -> BusEvent:
    """Make the event of a text part."""
    time = {"start": 1} | ({"end": 2} if is_whole else {})
    of = {"id": identity, "type": "text", "text": content, "time": time, "synthetic": synthetic}
    return part(ROOT, message_id, **of)


def delta(identity: str, content: str) -> BusEvent:
    """Make the event of more text."""
    return event("message.part.delta", partID=identity, field="text", delta=content)


def begun() -> Turn:
    """Make a turn whose message was taken up."""
    turn = Turn(session=ROOT, message_id=OURS)
    for each in (
        message(OURS, "user"),
        event("session.status", status={"type": "busy"}),
        message(ANSWER, "assistant"),
    ):
        assert turn.feed(each) == []
    return turn


def told(turn: Turn, *events: BusEvent) -> list[RunEvent]:
    """Feed events; collect what they mean."""
    return [meaning for each in events for meaning in turn.feed(each)]


def is_idle(turn: Turn) -> bool:
    """Whether it has come to its end."""
    return turn.is_idle


def is_astray(turn: Turn) -> bool:
    """Whether the agent has lost its way."""
    return turn.is_astray


def words(events: list[RunEvent]) -> list[str]:
    """List the pieces of text among events."""
    return [each.text for each in events if isinstance(each, TextAppended)]


def test_text_is_told_once() -> None:
    """The stored part repeats what the deltas said."""
    turn = begun()
    events = told(
        turn,
        text("p", ""),
        delta("p", "Hello "),
        text("p", "Hello "),
        delta("p", "there"),
        text("p", "Hello there", is_whole=True),
    )
    assert words(events) == ["Hello ", "there"]


def test_prompt_and_asides_are_not_the_answer() -> None:
    """The prompt comes back as a part, and so do opencode's own words to the model."""
    turn = begun()
    assert told(turn, text("p", "the prompt", is_whole=True, message_id=OURS)) == []
    assert told(turn, text("q", "go on", is_whole=True, synthetic=True)) == []
    summary = message("msg_4", "assistant", summary=True)
    assert told(turn, summary, text("r", "summary", is_whole=True, message_id="msg_4")) == []
    assert told(turn, text("s", "of a turn before", is_whole=True, message_id="msg_1")) == []


def test_torn_text_is_told_when_it_is_whole() -> None:
    """After missed events no word is told twice, out of order, or not at all."""
    turn = begun()
    before = told(turn, text("p", ""), delta("p", "one "))
    turn.tear()
    between = told(turn, delta("p", "three "), text("p", ""))
    after = told(turn, text("p", "one two three four", is_whole=True))
    assert words(before + between + after) == ["one ", "two three four"]


def test_text_whose_beginning_was_missed_waits_for_its_end() -> None:
    """A delta of an unknown part has no place yet."""
    turn = begun()
    assert told(turn, delta("p", "end")) == []
    assert words(told(turn, text("p", "the end", is_whole=True))) == ["the end"]


def test_reading_the_session_repeats_nothing() -> None:
    """What was told live is recognised in the messages that are read after a break."""
    turn = begun()
    step = part(id="f", type="step-finish", reason="stop", tokens=TOKENS, cost=0.5)
    live = told(turn, text("p", "Hello", is_whole=True), step)
    assert [type(each) for each in live] == [TextAppended, StepFinished, UsageReported]
    stored = [
        {
            "info": {"id": ANSWER, "role": "assistant"},
            "parts": [
                text("p", "Hello", is_whole=True).properties["part"],
                step.properties["part"],
                text("q", "And more", is_whole=True).properties["part"],
            ],
        }
    ]
    assert words(turn.read(ROOT, stored)) == ["And more"]
    assert turn.usage.total_tokens == 11
    assert turn.usage.cost_usd == 0.5


def test_text_first_met_while_reading_is_told_when_it_is_whole() -> None:
    """Its first deltas were missed, and what is stored of it lags behind them."""
    turn = begun()
    turn.tear()
    stored = {"messageID": ANSWER, "id": "prt_1", "type": "text", "text": "", "time": {"start": 1}}
    info = {"id": ANSWER, "role": "assistant"}
    assert turn.read(ROOT, [{"info": info, "parts": [stored]}]) == []
    assert told(turn, delta("prt_1", "and more")) == []
    assert words(told(turn, text("prt_1", "Some, and more", is_whole=True))) == ["Some, and more"]


def test_text_that_was_read_whole_is_not_told_again_by_events_that_waited() -> None:
    """What came while the session was read is older than what the reading found."""
    turn = begun()
    turn.tear()
    time = {"start": 1, "end": 2}
    stored = {"messageID": ANSWER, "id": "prt_1", "type": "text", "text": "Hello", "time": time}
    info = {"id": ANSWER, "role": "assistant"}
    assert words(turn.read(ROOT, [{"info": info, "parts": [stored]}])) == ["Hello"]
    waited = (text("prt_1", ""), delta("prt_1", "Hel"), text("prt_1", "Hello", is_whole=True))
    assert told(turn, *waited) == []


def test_end_counts_only_after_a_beginning() -> None:
    """After an abort a second `idle` comes, which belongs to the turn before."""
    turn = Turn(session=ROOT, message_id=OURS)
    told(turn, event("session.idle"), event("session.status", status={"type": "idle"}))
    assert not is_idle(turn)
    told(turn, event("session.status", status={"type": "busy"}), event("session.idle", CHILD))
    assert not is_idle(turn)
    told(turn, event("session.idle"))
    assert is_idle(turn)
    told(turn, event("session.status", status={"type": "busy"}))
    assert not is_idle(turn)


def test_first_error_is_kept() -> None:
    """opencode repeats it with a stack trace; a sub-agent's is not the order's."""
    turn = begun()
    errors = [{"name": "A", "data": {"message": str(number)}} for number in range(3)]
    told(turn, event("session.error", CHILD, error=errors[0]))
    told(turn, *(event("session.error", error=error) for error in errors[1:]))
    assert turn.error == errors[1]


def test_abort_of_the_turn_before_is_not_ours() -> None:
    """Its error may arrive when the next message is already being sent."""
    aborted = event("session.error", error={"name": "MessageAbortedError"})
    turn = Turn(session=ROOT, message_id=OURS)
    told(turn, aborted)
    assert turn.error is None
    late = begun()
    told(late, aborted)
    assert late.error == {"name": "MessageAbortedError"}


def test_sub_agents_count_as_the_orders() -> None:
    """Their tools, requests and costs are told; their words and steps are their parent's matter."""
    turn = begun()
    state = {"status": "completed", "input": {"command": "ls"}, "output": "files"}
    events = told(
        turn,
        message("msg_c", "assistant", CHILD),
        part(CHILD, "msg_c", id="a", type="text", text="words", time={"end": 1}),
        part(CHILD, "msg_c", id="b", type="tool", tool="bash", callID="call", state=state),
        part(CHILD, "msg_c", id="c", type="step-finish", reason="stop", tokens=TOKENS),
        event("permission.asked", CHILD, id="per_1", permission="bash", patterns=["ls"]),
    )
    assert [type(each) for each in events] == [ToolChanged, UsageReported, PermissionRequested]
    assert isinstance(events[0], ToolChanged)
    assert events[0].is_child
    assert (events[0].title, events[0].detail) == ("ls", "files")
    assert turn.steps == 0


def test_requests_are_told_once_and_resolved_once() -> None:
    """Read after a break they are the same; those no longer there were answered elsewhere."""
    turn = begun()
    first, second = ({"id": f"per_{n}", "permission": "bash"} for n in (1, 2))
    assert len(told(turn, event("permission.asked", **first))) == 1
    assert [type(each) for each in turn.set_requests([first, second], [])] == [PermissionRequested]
    replied = event("permission.replied", requestID="per_1", reply="always")
    assert told(turn, replied, replied) == [
        RequestResolved(request_id=RequestId("per_1"), how="always")
    ]
    assert turn.set_requests([], []) == [
        RequestResolved(request_id=RequestId("per_2"), how="withdrawn")
    ]
    assert turn.waiting == {}
    assert told(turn, event("permission.asked", **first)) == []


def test_steps_without_a_reason_are_counted_in_a_row() -> None:
    """Only a row of them means that the provider sends rubbish."""
    turn = begun()
    reasons = ["unknown", "unknown", "tool-calls", "unknown"]
    rows = []
    for number, reason in enumerate(reasons):
        told(turn, part(id=f"f{number}", type="step-finish", reason=reason, tokens=TOKENS))
        rows.append(turn.unknown_finishes)
    assert rows == [1, 2, 0, 1]
    assert turn.steps == 4


def test_retries_are_told_until_something_happens() -> None:
    """The last failure explains a silence; after a success it explains nothing any more."""
    turn = begun()
    retry = {"type": "retry", "attempt": 2, "message": "overloaded", "next": 1795329154421}
    (event_told,) = told(turn, event("session.status", status=retry))
    assert isinstance(event_told, ProviderRetrying)
    assert event_told.next_at is not None
    assert turn.retrying == event_told
    told(turn, part(id="f", type="step-finish", reason="stop", tokens=TOKENS))
    assert turn.retrying is None


def test_files_are_told_once_a_message() -> None:
    """The tool says which file it wrote, and the snapshot's patch says it again."""
    turn = begun()
    state = {"status": "completed", "input": {"filePath": "/p/a"}, "output": ""}
    write = part(id="t", type="tool", tool="write", callID="c", state=state)
    events = told(turn, write, write, part(id="x", type="patch", files=["/p/a", "/p/b"]))
    files = [each.files for each in events if isinstance(each, FilesChanged)]
    assert files == [("/p/a",), ("/p/b",)]


def ended(turn: Turn, finish: str = "stop") -> None:
    """Let the turn say something and come to its end."""
    step = part(id="f", type="step-finish", reason=finish, tokens=TOKENS)
    last = message(ANSWER, "assistant", finish=finish, time={"created": 1, "completed": 2})
    told(turn, text("p", "Hello", is_whole=True), step, last, event("session.idle"))


def test_success_that_was_heard_whole_need_not_be_read() -> None:
    """The stream tells messages and parts as they are stored."""
    turn = begun()
    assert turn.success() is None
    ended(turn)
    heard = turn.success()
    assert heard is not None
    assert heard.text == "Hello"
    assert heard.usage == turn.usage


def test_whatever_is_not_certain_is_read() -> None:
    """A break, an error, or an end that is no success: the session says what there is."""
    torn, failed, cut = begun(), begun(), begun()
    torn.tear()
    told(failed, event("session.error", error={"name": "X"}))
    ended(torn)
    ended(failed)
    ended(cut, "length")
    assert [turn.success() for turn in (torn, failed, cut)] == [None, None, None]


def test_unknown_and_malformed_events_do_no_harm() -> None:
    """A newer server says things that we do not know."""
    turn = begun()
    strange = ["message.part.updated", "message.updated", "session.status", "todo.updated"]
    assert told(turn, event("brand.new", x=1), *(event(kind) for kind in strange)) == []


def dated(identity: str, role: str, at: int, session: str = ROOT, **info: object) -> BusEvent:
    """Make the event of a message with its date, in seconds."""
    time = {"created": at * 1000, **({"completed": 1} if info.pop("is_whole", False) else {})}
    return message(identity, role, session, time=time, **info)


def test_answer_that_is_dated_before_its_prompt_is_a_stray() -> None:
    """The clock was set back in between; once it is whole, opencode would answer again (1.18)."""
    turn = Turn(session=ROOT, message_id=OURS)
    told(turn, dated(OURS, "user", 100), dated("msg_1", "assistant", 40, parentID=OURS))
    assert turn.strays == {"msg_1"}
    assert not is_astray(turn)
    told(turn, dated("msg_1", "assistant", 40, parentID=OURS, is_whole=True, finish="stop"))
    assert is_astray(turn)
    assert turn.success() is None


def test_step_that_is_dated_before_the_last_one_is_a_stray() -> None:
    """opencode takes the step before for the newest, also in a sub-agent's session."""
    for session in (ROOT, CHILD):
        turn = Turn(session=ROOT, message_id=OURS)
        for each in (
            dated(OURS, "user", 100),
            dated("msg_4", "assistant", 120, session),
            dated("msg_3", "assistant", 110, session),
        ):
            turn.feed(each)
        assert turn.strays == {"msg_3"}


def test_steps_in_their_order_are_none() -> None:
    """Nor is one that is told again, or one of a turn before."""
    turn = Turn(session=ROOT, message_id=OURS)
    for each in (
        dated(OURS, "user", 100),
        event("session.status", status={"type": "busy"}),
        dated("msg_1", "assistant", 40, is_whole=True),
        dated("msg_3", "assistant", 110),
        dated("msg_4", "assistant", 120),
        dated("msg_3", "assistant", 110, is_whole=True),
        dated(OURS, "user", 100),
    ):
        turn.feed(each)
    assert not turn.strays
    assert not is_astray(turn)
    assert turn.newest == "msg_4"


def test_answer_to_an_earlier_prompt_shows_that_ours_is_not_seen() -> None:
    """The clock was set back before our message came in: the agent works on somebody else's."""
    turn = Turn(session=ROOT, message_id=OURS)
    turn.feed(event("session.status", status={"type": "busy"}))
    turn.feed(dated("msg_1", "assistant", 40, parentID="msg_0"))
    assert is_astray(turn)
