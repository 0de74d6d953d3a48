"""What the lines of `opencode run` mean; the cases are those measured with 1.18.33."""

import json

import pytest

from galaxy_adapters.dispatch_opencode_cli.transcript import Transcript
from galaxy_core.domain.run import (
    FilesChanged,
    ReasoningAppended,
    RunEnded,
    RunEvent,
    StepFinished,
    TextAppended,
    Todo,
    TodosChanged,
    ToolChanged,
    ToolStatus,
    Verdict,
)

REJECTED = "The user rejected permission to use this specific tool call."
COMPLAINT = "! permission requested: bash (echo hi); auto-rejecting"


def line(kind: str, **content: object) -> bytes:
    """One line as opencode prints it."""
    envelope: dict[str, object] = {"type": kind, "timestamp": 1, "sessionID": "ses_1"}
    return json.dumps(envelope | content).encode()


def text(content: str, **more: object) -> bytes:
    """A text part."""
    part: dict[str, object] = {"id": "prt_1", "messageID": "msg_1", "type": "text", "text": content}
    return line("text", part=part | more)


def step(reason: str) -> bytes:
    """The end of a model's step."""
    tokens = {"input": 100, "output": 20, "reasoning": 3, "cache": {"write": 5, "read": 7}}
    part = {"type": "step-finish", "messageID": "msg_1", "reason": reason, "cost": 0.25}
    return line("step_finish", part={**part, "tokens": tokens})


def tool(name: str, **state: object) -> bytes:
    """A tool call that has ended."""
    ended: dict[str, object] = {"status": "completed", "input": {}}
    part = {"id": "prt_2", "messageID": "msg_1", "type": "tool", "tool": name, "callID": "call_1"}
    return line("tool_use", part={**part, "state": ended | state})


def error(name: str, **data: object) -> bytes:
    """An error event."""
    return line("error", error={"name": name, "data": data})


def refused() -> bytes:
    """A tool that needed a permission."""
    return tool("bash", status="error", error=REJECTED, input={"command": "echo hi"})


def play(*lines: bytes) -> tuple[Transcript, list[RunEvent]]:
    """Feed lines; the transcript and what they meant."""
    transcript = Transcript()
    return transcript, [event for one in lines for event in transcript.feed(one)]


def judged(*lines: bytes, code: int = 0, complaints: str = "") -> RunEnded:
    """How a run with these lines ended."""
    return play(*lines)[0].ended(code=code, complaints=complaints)


def test_success_is_a_stop_and_exit_code_zero() -> None:
    """The answer is all text, tokens and cost are summed over the steps."""
    ended = judged(text("one"), step("tool-calls"), text("two\n"), step("stop"))
    assert ended.verdict is Verdict.SUCCEEDED
    assert ended.text == "one\n\ntwo"
    assert (ended.usage.input_tokens, ended.usage.cache_read_tokens) == (200, 14)
    assert ended.usage.cost_usd == 0.5


@pytest.mark.parametrize(
    "lines,code,complaints,verdict,reason",
    [
        ([refused(), step("tool-calls")], 0, COMPLAINT, Verdict.FAILED, "bash (echo hi)"),
        ([refused(), step("tool-calls")], 0, "", Verdict.FAILED, "permission"),
        (
            [text("x"), step("stop")],
            0,
            '! agent "x" not found. Falling back to default agent',
            Verdict.FAILED,
            "another agent",
        ),
        ([error("APIError", message="bad", statusCode=400)], 1, "", Verdict.FAILED, "bad"),
        (
            [error("APIError", message="down", isRetryable=True)],
            1,
            "",
            Verdict.BROKEN_OFF,
            "down",
        ),
        ([error("UnknownError", message="see logs")], 1, "", Verdict.FAILED, "see logs"),
        ([text("x"), step("length")], 0, "", Verdict.FAILED, "longest length"),
        ([step("content-filter"), error("ContentFilterError")], 1, "", Verdict.FAILED, "filter"),
        ([text("x"), step("tool-calls")], 137, "", Verdict.BROKEN_OFF, "between two steps"),
        ([text("half")], 137, "", Verdict.BROKEN_OFF, "in the middle"),
        ([text("x"), step("stop")], 137, "", Verdict.BROKEN_OFF, "signal 9"),
        ([text("x"), step("stop")], 1, "", Verdict.BROKEN_OFF, "exit code 1"),
        ([], 143, "", Verdict.BROKEN_OFF, "signal 15"),
        ([], 0, "", Verdict.BROKEN_OFF, "in the middle"),
        ([], 1, "Error: File not found: x", Verdict.FAILED, "File not found: x"),
        ([], 1, "Error: Unexpected error\ndatabase is locked", Verdict.BROKEN_OFF, "processes"),
    ],
)
def test_everything_else_is_no_success(
    lines: list[bytes], code: int, complaints: str, verdict: Verdict, reason: str
) -> None:
    """Exit code, error events, refused tools and complaints each can spoil a run."""
    ended = judged(*lines, code=code, complaints=complaints)
    assert ended.verdict is verdict
    assert ended.reason
    assert reason in ended.reason


def test_overflow_that_was_mended_is_no_error() -> None:
    """opencode makes room for a conversation that is too long, goes on, and exits with 1."""
    overflow = error("ContextOverflowError", message="too long")
    summary = text("opencode's own summary", synthetic=True)
    ended = judged(overflow, summary, step("stop"), text("fine"), step("stop"), code=1)
    assert ended.verdict is Verdict.SUCCEEDED
    assert ended.text == "fine"
    assert judged(overflow, code=1).verdict is Verdict.FAILED


def test_events_of_a_run() -> None:
    """A line becomes what a watcher is told."""
    todos = [{"content": "a", "status": "pending", "priority": "high"}]
    _, told = play(
        line("step_start", part={"type": "step-start"}),
        line("reasoning", part={"id": "prt_0", "text": "hmm"}),
        tool("bash", input={"command": "ls"}, output="x" * 9000),
        tool("todowrite", metadata={"todos": todos}),
        tool("write", input={"filePath": "a.txt", "content": "x"}),
        tool("invalid"),
        text("done"),
        step("stop"),
    )
    reasoning, bash, *rest = told
    assert reasoning == ReasoningAppended(text="hmm", part="prt_0")
    assert isinstance(bash, ToolChanged)
    assert (bash.tool, bash.title, bash.status) == ("bash", "ls", ToolStatus.COMPLETED)
    assert len(bash.detail) <= 4096
    assert TodosChanged(todos=(Todo(content="a", status="pending", priority="high"),)) in rest
    assert FilesChanged(files=("a.txt",)) in rest
    invalid = [event for event in rest if isinstance(event, ToolChanged)][-1]
    assert invalid.status is ToolStatus.FAILED
    assert TextAppended(text="done", part="prt_1") in rest
    assert StepFinished(reason="stop", number=1) in rest


def test_unknown_finishes_are_counted_in_a_row() -> None:
    """A step that ends for a reason begins the count anew."""
    transcript, _ = play(step("unknown"), step("tool-calls"), step("unknown"), step("unknown"))
    assert (transcript.steps, transcript.unknown_finishes) == (4, 2)


@pytest.mark.parametrize("rubbish", [b"", b"{", b"[]", b"17", b'{"type":"done"}', b"\xff\xfe"])
def test_what_is_no_event_means_nothing(rubbish: bytes) -> None:
    """Lines of another version, or of a plugin that prints, do no harm."""
    assert play(rubbish)[1] == []
