"""How a turn ended, judged by the messages that came after ours."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from attrs import field, frozen

from galaxy_adapters._opencode import parts
from galaxy_adapters._opencode.parts import Json
from galaxy_core.domain.response import Usage
from galaxy_core.domain.run import RunEnded, Verdict

_GOES_ON = frozenset({"tool-calls", "unknown"})
"""Finishes after which opencode asks the model again."""
_CUT = {
    "length": "The model's answer was cut off at its longest length.",
    "content-filter": "The model's provider held the answer back (content filter).",
    "error": "The model's provider broke the answer off.",
}


def _readable(messages: Iterable[object]) -> tuple[Json, ...]:
    """Those of the messages that have the form of one, with those parts that have."""
    return tuple(
        {**message, "info": message["info"], "parts": _parts_of(message)}
        for message in messages
        if isinstance(message, dict) and isinstance(message.get("info"), dict)
    )


def _parts_of(message: Json) -> list[Json]:
    found = message.get("parts")
    return [part for part in found if isinstance(part, dict)] if isinstance(found, list) else []


@frozen(kw_only=True)
class Aftermath:
    """All that came of one message."""

    messages: tuple[Json, ...] = field(default=(), converter=_readable)
    """Every message after ours, oldest first: answers, and what opencode itself threw in."""
    is_overtaken: bool = False
    """Whether somebody else has gone on in the session since our message was answered."""

    def own(self) -> Aftermath:
        """Leave out what came of messages that somebody else wrote after our turn was over.

        Over is also one whose answer was broken off, when the agent has answered others since: it
        works on one answer at a time, and never comes back to that one.
        """
        for place, message in enumerate(self.messages):
            if not place or not _is_of_a_person(message):
                continue
            before = Aftermath(messages=self.messages[:place], is_overtaken=True)
            if before.messages[-1]["info"].get("summary"):
                continue  # it is the prompt itself that opencode repeats (1.18)
            has_others_answers = bool(Aftermath(messages=self.messages[place:]).answers)
            if before.is_finished or (before.is_torn and has_others_answers):
                return before
        return self

    @property
    def answers(self) -> list[Json]:
        """The agent's messages; a compaction's summary is not one of them."""
        return [
            message
            for message in self.messages
            if message["info"].get("role") == "assistant" and not message["info"].get("summary")
        ]

    @property
    def text(self) -> str:
        """What the agent said, whole."""
        pieces = [
            str(part.get("text") or "")
            for message in self.answers
            for part in message.get("parts") or []
            if part.get("type") == "text" and not part.get("synthetic")
        ]
        return "\n\n".join(piece.strip("\n") for piece in pieces if piece.strip())

    @property
    def usage(self) -> Usage:
        """What the steps in this session cost; sub-agents have sessions of their own."""
        total = Usage()
        for message in self.messages:
            for part in message.get("parts") or []:
                if part.get("type") == "step-finish":
                    total += parts.usage(part)
        return total

    @property
    def refused(self) -> Json | None:
        """The tool call whose refusal was the last thing that happened; None otherwise."""
        for part in self.answers[-1].get("parts") or [] if self.answers else []:
            if part.get("type") == "tool" and parts.was_refused(part):
                refused: Json = part
                return refused
        return None

    @property
    def is_torn(self) -> bool:
        """Whether the last answer never came to its end, or is being written."""
        return bool(self.answers) and not parts.is_complete(self.answers[-1]["info"])

    @property
    def is_finished(self) -> bool:
        """Whether the agent came to an end of its own, good or bad."""
        if not self.answers:
            return False
        info = self.answers[-1]["info"]
        if info.get("error"):
            return True
        if not parts.is_complete(info) or not info.get("finish"):
            return False
        return str(info["finish"]) not in _GOES_ON or self.refused is not None


def _is_of_a_person(message: Json) -> bool:
    """Whether it is a prompt; opencode writes in the user's name, too, to go on (compaction)."""
    pieces = message.get("parts") or []
    return message["info"].get("role") == "user" and any(
        part.get("type") == "text" and not part.get("synthetic") for part in pieces
    )


def judge(aftermath: Aftermath, *, bus_error: Json | None, is_cancelled: bool) -> RunEnded:
    """Say how the turn ended.  `bus_error` counts where no answer came to be at all."""
    answers = aftermath.answers
    info = answers[-1]["info"] if answers else {}
    error = info.get("error") or (bus_error if not answers else None)
    if is_cancelled:
        return RunEnded(verdict=Verdict.CANCELLED, reason="It was cancelled.")
    if isinstance(error, dict):
        return judge_error(error)
    if (refused := aftermath.refused) is not None:
        return _failed(f"The agent stopped because it was refused: {parts.refused_what(refused)}.")
    if not info:
        return _broken_off("The agent stopped before it answered.")
    return judge_finish(str(info.get("finish") or "") if parts.is_complete(info) else None)


def judge_finish(finish: str | None) -> RunEnded:
    """Say what the last step's reason means for the run; None when no step came to its end."""
    if not finish:
        return _broken_off("The agent stopped in the middle of its answer.")
    if finish in _CUT:
        return _failed(_CUT[finish])
    if finish in _GOES_ON:
        return _broken_off("The agent stopped between two steps of its work.")
    return RunEnded(verdict=Verdict.SUCCEEDED)


def judge_error(found_error: object) -> RunEnded:
    """Say what an error of opencode's means for the run."""
    error = found_error if isinstance(found_error, dict) else {"name": str(found_error)}
    name = str(error.get("name") or "error")
    found = error.get("data")
    data = found if isinstance(found, dict) else {}
    message = str(data.get("message") or name)
    if name == "MessageAbortedError":
        return _broken_off("The agent was stopped from outside.")
    if name == "APIError" and data.get("isRetryable"):
        return _broken_off(
            f"The model's provider failed: {message}", _retry_after(data.get("responseHeaders"))
        )
    sentence = {
        "APIError": f"The model's provider refused: {message}",
        "ProviderAuthError": f"The model's provider wants other credentials: {message}",
        "ContextOverflowError": f"The conversation has become too long for the model: {message}",
        "ContentFilterError": _CUT["content-filter"],
        "MessageOutputLengthError": _CUT["length"],
    }.get(name, f"The agent failed: {message}")
    return _failed(sentence)


def _failed(reason: str) -> RunEnded:
    return RunEnded(verdict=Verdict.FAILED, reason=reason)


def _broken_off(reason: str, retry_after: timedelta | None = None) -> RunEnded:
    return RunEnded(verdict=Verdict.BROKEN_OFF, reason=reason, retry_after=retry_after)


def _retry_after(headers: object) -> timedelta | None:
    if not isinstance(headers, dict):
        return None
    value = {str(name).lower(): text for name, text in headers.items()}.get("retry-after")
    try:
        return timedelta(seconds=max(0.0, float(str(value))))
    except (ValueError, OverflowError):
        return None
