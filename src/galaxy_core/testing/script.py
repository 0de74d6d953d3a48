r"""Script words: how a prompt tells a scripted model or agent what to do.

A word stands first on its line, anywhere in the last user message; leading spaces, `>` and quote
marks are ignored.  Lines that begin with no word are prose.  A message without any word is
echoed: `echo[<number of user messages>]: <text>`.

text
    SAY text...              say this
    THINK text...            the same as reasoning
    LONG n                   say n filler words ("w0 w1 w2 ...")
    DUMP                     say one line of JSON that describes the request received
tools: each ends the model's step; the agent runs it, calls back, and the script goes on
    CALL tool: argument      one-argument short form: bash->command, read->filePath,
                             glob/grep->pattern, webfetch->url, skill->name, list->path, any
                             other tool gets {"input": argument}
    CALL tool {"json": 1}    any tool with exact arguments; invalid JSON is sent as it stands
    READ path                CALL read
    WRITE path: content      "\n" in the content becomes a line break
    EDIT path: old => new    CALL edit {filePath, oldString, newString}
    TODO a | b* | c+ | d-    CALL todowrite; "*" in progress, "+" completed, "-" cancelled
    ASK question | A | B     CALL question with options A and B ("MULTI " before the question:
                             several may be chosen)
    TASK agent: prompt       CALL task, a sub-agent; ";;" in its prompt becomes a line break
    AND <tool word ...>      this call in the same step as the one before it
timing
    SLEEP n                  wait n seconds here; first in a step: before the answer begins
    SLOW n                   wait n seconds between words from here to the end of the step
failures
    FAIL 500 [xN] [text]     answer that HTTP status; with xN only the first N tries of this
                             prompt fail.  "retry-after=n" in the text sends that header
    FAIL context             HTTP 400 with the error `context_length_exceeded`
    FAIL hangup              close the connection without an answer
    FAIL midstream           close it in the middle of the stream
    FAIL garbage             answer 200 with HTML
    FAIL stall               answer 200, then nothing until the client gives up
    FAIL length              finish with reason `length`
    FAIL filter              finish with reason `content_filter`
accounting
    USAGE in out [cached]    tokens that this step reports (default 100 20)
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"

TOOL_WORDS = frozenset({"CALL", "READ", "WRITE", "EDIT", "TODO", "ASK", "TASK"})
WORDS = (
    "SAY",
    "THINK",
    "LONG",
    "DUMP",
    *sorted(TOOL_WORDS),
    "AND",
    "SLEEP",
    "SLOW",
    "FAIL",
    "USAGE",
)

_LINE = re.compile(rf'^[\s>"\']*({"|".join(WORDS)})\b:?[ \t]*(.*?)\s*$')
_EXACT_CALL = re.compile(r"([\w.-]+)\s*(\{.*\})\s*$", re.DOTALL)
_FAILURE = re.compile(r"(\w+)(?:\s+x(\d+))?\s*(.*)")
_ONE_ARGUMENT = {
    "bash": "command",
    "read": "filePath",
    "glob": "pattern",
    "grep": "pattern",
    "webfetch": "url",
    "skill": "name",
    "list": "path",
}
_TODO_MARKS = {"*": "in_progress", "+": "completed", "-": "cancelled"}


class Action(NamedTuple):
    """One script line: the word and what follows it."""

    word: str
    rest: str

    @property
    def number(self) -> float:
        """The rest as a number, 1 when there is none."""
        return float(self.rest or 1)


class ToolCall(NamedTuple):
    """A tool and its arguments; `raw` is set instead when they are not valid JSON."""

    name: str
    arguments: dict[str, JSON]
    raw: str | None = None

    @property
    def encoded(self) -> str:
        """The arguments as the model sends them."""
        return json.dumps(self.arguments) if self.raw is None else self.raw


class Failure(NamedTuple):
    """A FAIL line taken apart."""

    kind: str
    """`500`, `context`, `stall`, ..."""
    times: int | None
    """How many tries fail; None for all of them."""
    message: str

    @property
    def retry_after(self) -> str | None:
        """Seconds of a `retry-after` header that the message asks for."""
        found = re.search(r"retry-after=(\d+)", self.message)
        return found.group(1) if found else None


def parse(prompt: str) -> list[Action]:
    """The script in a prompt; empty when it holds no script word."""
    text = prompt.strip()
    # `opencode run "a b"` sends an argument with a space as `"a b"`, inner quotes escaped.
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1].replace('\\"', '"')
    found = map(_LINE.match, text.splitlines())
    return [Action(m.group(1), m.group(2)) for m in found if m]


def steps_of(script: list[Action]) -> list[list[Action]]:
    """Cut a script into model steps: a step ends after its tool call or calls."""
    steps: list[list[Action]] = []
    step: list[Action] = []
    has_called = False
    for written in script:
        is_joined = written.word == "AND"
        action = _joined(written) if is_joined else written
        if action is None:
            continue
        if has_called and not is_joined:
            steps.append(step)
            step, has_called = [], False
        step.append(action)
        has_called = has_called or action.word in TOOL_WORDS
    return [*steps, step] if step else steps


def _joined(action: Action) -> Action | None:
    found = _LINE.match(action.rest)
    return Action(found.group(1), found.group(2)) if found else None


def failure(action: Action) -> Failure:
    """Take a FAIL line apart; nothing after the word means HTTP 500."""
    found = _FAILURE.match(action.rest or "500")
    if found is None:
        return Failure("500", None, action.rest)
    times = found.group(2)
    return Failure(found.group(1), int(times) if times else None, found.group(3))


def filler(count: str) -> str:
    """The words of `LONG count`."""
    return " ".join(f"w{i}" for i in range(int(count or 100)))


def words_of(text: str) -> list[str]:
    """Pieces in which a text is streamed: words with the white space after them."""
    return re.findall(r"\S+\s*|\s+", text)


def tool_call(action: Action) -> ToolCall:
    """The call that a tool word stands for."""
    return _TOOLS[action.word](action.rest)


def _read(rest: str) -> ToolCall:
    return ToolCall("read", {"filePath": rest})


def _write(rest: str) -> ToolCall:
    path, _, content = rest.partition(": ")
    return ToolCall("write", {"filePath": path.strip(), "content": _lines(content)})


def _lines(text: str) -> str:
    return text.replace("\\n", "\n")


def _edit(rest: str) -> ToolCall:
    path, _, change = rest.partition(": ")
    old, _, new = change.partition(" => ")
    return ToolCall(
        "edit", {"filePath": path.strip(), "oldString": _lines(old), "newString": _lines(new)}
    )


def _todo(rest: str) -> ToolCall:
    items = [item.strip() for item in rest.split("|") if item.strip()]
    todos: list[JSON] = [
        {
            "content": item.rstrip("*+-").strip(),
            "status": _TODO_MARKS.get(item[-1], "pending"),
            "priority": "medium",
        }
        for item in items
    ]
    return ToolCall("todowrite", {"todos": todos})


def _question(rest: str) -> ToolCall:
    is_multiple = rest.startswith("MULTI ")
    text, *labels = [part.strip() for part in rest.removeprefix("MULTI ").split("|")]
    options: list[JSON] = [
        {"label": label, "description": f"choose {label}"} for label in labels or ["yes", "no"]
    ]
    question: dict[str, JSON] = {"question": text, "header": text[:30], "options": options}
    if is_multiple:
        question["multiple"] = True
    return ToolCall("question", {"questions": [question]})


def _task(rest: str) -> ToolCall:
    agent, _, prompt = rest.partition(":")
    prompt = prompt.strip().replace(";;", "\n")
    return ToolCall(
        "task",
        {
            "description": prompt.split("\n")[0][:40] or "task",
            "prompt": prompt,
            "subagent_type": agent.strip(),
        },
    )


def _call(rest: str) -> ToolCall:
    if exact := _EXACT_CALL.match(rest):
        name, raw = exact.groups()
        try:
            arguments = json.loads(raw)
        except ValueError:
            return ToolCall(name, {}, raw)
        return ToolCall(name, arguments)
    name, _, argument = (part.strip() for part in rest.partition(":"))
    arguments = {_ONE_ARGUMENT.get(name, "input"): _lines(argument)}
    if name == "bash":
        arguments["description"] = f"scripted: {argument[:60]}"
    return ToolCall(name, arguments)


_TOOLS: dict[str, Callable[[str], ToolCall]] = {
    "CALL": _call,
    "READ": _read,
    "WRITE": _write,
    "EDIT": _edit,
    "TODO": _todo,
    "ASK": _question,
    "TASK": _task,
}
