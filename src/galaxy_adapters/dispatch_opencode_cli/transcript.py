"""What `opencode run --format json` prints, line by line: the domain's events, and the verdict.

Seven kinds of lines exist in 1.18; others are left alone.  Text is kept whole, it is the answer;
tools' outputs are passed on and dropped.
"""

from __future__ import annotations

import json

import structlog
from attrs import define, evolve, field

from galaxy_adapters._opencode import parts
from galaxy_adapters._opencode.parts import Json
from galaxy_adapters._opencode.verdict import judge_error, judge_finish
from galaxy_core.domain.response import Usage
from galaxy_core.domain.run import (
    FilesChanged,
    ReasoningAppended,
    RunEnded,
    RunEvent,
    StepFinished,
    TextAppended,
    TodosChanged,
    UsageReported,
    Verdict,
)

_log = structlog.get_logger(__name__)

_MISFITS = (AttributeError, KeyError, TypeError, ValueError, OverflowError)
"""What is met in a line that is not as opencode 1.18 prints it."""
_OVERFLOW = "ContextOverflowError"
_FALL_BACK = "Falling back"
_REFUSED = "permission requested:"
_BUSY = ("database is locked", "SQLITE_BUSY")
_SIGNALLED = 128
"""Exit codes above are 128 + the number of the signal, as shells write it."""


@define
class Transcript:
    """One run, as far as it has been printed."""

    steps: int = 0
    unknown_finishes: int = 0
    """Steps in a row that ended for no known reason."""
    last_message: str | None = None
    """Id of the agent's newest message."""
    _usage: Usage = field(factory=Usage)
    _texts: list[str] = field(factory=list)
    _refused: Json | None = None
    _finish: str | None = None
    _error: Json | None = None
    _has_overflowed: bool = False

    def feed(self, line: bytes) -> list[RunEvent]:
        """Take one line; returns what it means.  What is no event that we know means nothing."""
        try:
            return self._feed(_object(line))
        except _MISFITS as error:
            _log.warning("opencode.line_unknown", error=repr(error))
            return []

    def _feed(self, event: Json) -> list[RunEvent]:
        part = event.get("part") or {}
        self.last_message = part.get("messageID") or self.last_message
        match event.get("type"):
            case "text":
                return self._text(part)
            case "reasoning":
                text = str(part.get("text") or "")
                return [ReasoningAppended(text=text, part=str(part.get("id")))]
            case "tool_use":
                return self._tool(part)
            case "step_finish":
                return self._step(part)
            case "error":
                self._error = self._error or event.get("error") or {"name": "UnknownError"}
        return []

    def _text(self, part: Json) -> list[RunEvent]:
        if part.get("synthetic"):
            return []  # opencode's own words
        text = str(part.get("text") or "")
        self._texts.append(text)
        return [TextAppended(text=text, part=str(part.get("id")))]

    def _tool(self, part: Json) -> list[RunEvent]:
        told: list[RunEvent] = []
        if (changed := parts.tool(part, is_child=False)) is not None:
            told.append(changed)
        if parts.was_refused(part):
            state = {name: part["state"].get(name) for name in ("input", "error", "title")}
            self._refused = {"type": "tool", "tool": part.get("tool"), "state": state}
        state = part.get("state") or {}
        todos = (state.get("metadata") or {}).get("todos")
        if part.get("tool") == "todowrite" and isinstance(todos, list):
            told.append(TodosChanged(todos=tuple(parts.todo(item) for item in todos)))
        if files := parts.written_files(part):
            told.append(FilesChanged(files=tuple(files)))
        return told

    def _step(self, part: Json) -> list[RunEvent]:
        self.steps += 1
        self._finish = str(part.get("reason") or "unknown")
        self.unknown_finishes = self.unknown_finishes + 1 if self._finish == "unknown" else 0
        if self._error and self._error.get("name") == _OVERFLOW:
            # opencode has made room for the conversation and gone on, though it will exit with 1.
            self._error, self._has_overflowed = None, True
        self._usage += parts.usage(part)
        return [
            StepFinished(reason=self._finish, number=self.steps),
            UsageReported(usage=self._usage),
        ]

    def ended(self, *, code: int, complaints: str) -> RunEnded:
        """Judge the run by its lines, its exit code and what stands on standard error.

        The exit code alone says little: it is 0 for a refused tool and for another agent than the
        one that was asked for.
        """
        text = "\n\n".join(text.strip("\n") for text in self._texts if text.strip())
        return evolve(self._verdict(code, complaints), text=text, usage=self._usage)

    def _verdict(self, code: int, complaints: str) -> RunEnded:
        if self._error is not None:
            return judge_error(self._error)
        if self._refused is not None:
            return _failed(_why_refused(self._refused, complaints))
        if _FALL_BACK in complaints:
            return _failed(f"opencode answered with another agent than asked: {complaints}")
        if self._finish is None and not self._texts and code:
            return _without_answer(code, complaints)
        if self._finish == "stop" and code != (1 if self._has_overflowed else 0):
            reason = f"opencode ended badly after its answer ({_how(code)})."
            return RunEnded(verdict=Verdict.BROKEN_OFF, reason=reason)
        return judge_finish(self._finish)


def _object(line: bytes) -> Json:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _failed(reason: str) -> RunEnded:
    return RunEnded(verdict=Verdict.FAILED, reason=reason)


def _why_refused(refused: Json, complaints: str) -> str:
    asked = [line for line in complaints.splitlines() if _REFUSED in line]
    what = asked[-1].partition(_REFUSED)[2].partition(";")[0].strip() if asked else ""
    return (
        f"It needed a permission that nobody can give here: {what or parts.refused_what(refused)}. "
        "Allow it in the project's opencode.json, or use the dispatcher `opencode-server`, which "
        "asks."
    )


def _without_answer(code: int, complaints: str) -> RunEnded:
    if code > _SIGNALLED:
        reason = f"opencode was stopped before it answered ({_how(code)})."
        return RunEnded(verdict=Verdict.BROKEN_OFF, reason=reason)
    last = complaints.strip().splitlines()[-1:] or [_how(code)]
    if any(word in complaints for word in _BUSY):
        reason = f"Too many opencode processes at once: {last[0]}"
        return RunEnded(verdict=Verdict.BROKEN_OFF, reason=reason)
    return _failed(f"opencode did not run: {last[0]}")


def _how(code: int) -> str:
    return f"signal {code - _SIGNALLED}" if code > _SIGNALLED else f"exit code {code}"
