"""How a script becomes an answer of the chat-completions protocol, streamed or whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from io import BufferedIOBase
from typing import Any

from galaxy_core.testing import script
from galaxy_core.testing.script import JSON, TOOL_WORDS, Action
from galaxy_core.testing.scripted_llm.plan import describe

_STALL_SECONDS = 3600.0
_ARGUMENT_PIECE = 400  # characters of a tool call's arguments in one chunk


class HangUp(Exception):
    """The script wants the connection closed here."""


_FINISHES = {"length": "length", "filter": "content_filter"}


class StreamedAnswer:
    """One streamed answer, written to `out`; `wait` sleeps that many seconds."""

    def __init__(
        self,
        out: BufferedIOBase,
        body: dict[str, Any],
        base: dict[str, JSON],
        *,
        wait: Callable[[float], None],
        delay: float,
    ) -> None:
        self._out = out
        self._body = body
        self._base = base | {"object": "chat.completion.chunk"}
        self._wait = wait
        self._delay = delay
        self._calls = 0
        self._finish = "stop"
        self._has_said = False

    def run(self, actions: Sequence[Action]) -> None:
        """Stream the actions and the end; raises `HangUp` where the script wants it."""
        self._send({"role": "assistant", "content": ""})
        for action in actions:
            if action.word in TOOL_WORDS:
                self._call(script.tool_call(action))
            else:
                self._do(action)
        reason = "tool_calls" if self._calls else self._finish
        self._send({}, reason, usage=_usage(actions))
        self._out.write(b"data: [DONE]\n\n")
        self._out.flush()

    def _do(self, action: Action) -> None:
        match action.word:
            case "SAY":
                self._words("content", ("\n" if self._has_said else "") + action.rest)
                self._has_said = True
            case "THINK":
                self._words("reasoning_content", action.rest)
            case "LONG":
                self._words("content", script.filler(action.rest))
            case "DUMP":
                self._send({"content": json.dumps(describe(self._body))})
            case "SLEEP":
                self._wait(action.number)
            case "SLOW":
                self._delay = float(action.rest or 0.1)
            case "FAIL":
                self._fail(script.failure(action).kind)

    def _fail(self, kind: str) -> None:
        if kind == "midstream":
            raise HangUp
        if kind == "stall":
            self._wait(_STALL_SECONDS)
        self._finish = _FINISHES.get(kind, self._finish)

    def _words(self, field: str, text: str) -> None:
        for word in script.words_of(text):
            self._send({field: word})
            if self._delay:
                self._wait(self._delay)

    def _call(self, call: script.ToolCall) -> None:
        function: JSON = {"name": call.name, "arguments": ""}
        name = _call_id(self._base, self._calls)
        head: JSON = {"index": self._calls, "id": name, "type": "function", "function": function}
        self._send({"tool_calls": [head]})
        for start in range(0, len(call.encoded), _ARGUMENT_PIECE):
            piece = call.encoded[start : start + _ARGUMENT_PIECE]
            more: JSON = {"index": self._calls, "function": {"arguments": piece}}
            self._send({"tool_calls": [more]})
        self._calls += 1

    def _send(
        self, delta: dict[str, JSON], reason: str | None = None, usage: JSON | None = None
    ) -> None:
        choice: JSON = {"index": 0, "delta": delta, "finish_reason": reason}
        chunk = self._base | {"choices": [choice]} | ({"usage": usage} if usage else {})
        self._out.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        self._out.flush()


def _usage(actions: Sequence[Action]) -> dict[str, JSON]:
    numbers = [100, 20]
    for action in actions:
        if action.word == "USAGE":
            numbers = [int(number) for number in action.rest.split()]
    given, made = numbers[0], numbers[1] if len(numbers) > 1 else 20
    usage: dict[str, JSON] = {
        "prompt_tokens": given,
        "completion_tokens": made,
        "total_tokens": given + made,
    }
    if len(numbers) > 2:
        usage["prompt_tokens_details"] = {"cached_tokens": numbers[2]}
    return usage


def _call_id(base: dict[str, JSON], place: int) -> str:
    return f"call_{str(base['id']).removeprefix('chatcmpl-')}_{place}"


def whole_answer(
    body: dict[str, Any],
    actions: Sequence[Action],
    base: dict[str, JSON],
    wait: Callable[[float], None],
) -> dict[str, JSON]:
    """An answer that is not streamed."""
    said: list[str] = []
    calls: list[JSON] = []
    for action in actions:
        match action.word:
            case "SAY":
                said.append(action.rest)
            case "LONG":
                said.append(script.filler(action.rest))
            case "DUMP":
                said.append(json.dumps(describe(body)))
            case "SLEEP":
                wait(action.number)
            case word if word in TOOL_WORDS:
                call = script.tool_call(action)
                function: JSON = {"name": call.name, "arguments": call.encoded}
                name = _call_id(base, len(calls))
                calls.append({"id": name, "type": "function", "function": function})
    message: dict[str, JSON] = {"role": "assistant", "content": "\n".join(said)}
    if calls:
        message["tool_calls"] = calls
    finish = "tool_calls" if calls else "stop"
    choice: JSON = {"index": 0, "message": message, "finish_reason": finish}
    return base | {"object": "chat.completion", "usage": _usage(actions), "choices": [choice]}
