"""The model behind the fake opencode: what it does in one step, and how its provider fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from galaxy_core.testing import script
from galaxy_core.testing.opencode.store import Document
from galaxy_core.testing.script import Action, Failure

RETRIES = 5
"""How often opencode asks a provider again before it gives up."""


class ProviderError(Exception):
    """The turn ends with an error in opencode's own shape."""

    def __init__(self, name: str, message: str, **data: object) -> None:
        super().__init__(message)
        self.error: Document = {"name": name, "data": {"message": message, **data}}

    @classmethod
    def refused(cls, failure: Failure, *, is_retryable: bool) -> ProviderError:
        """What remains of an HTTP error."""
        message = failure.message or f"scripted failure {failure.kind}"
        status = int(failure.kind) if failure.kind.isdigit() else None
        return cls("APIError", message, statusCode=status, isRetryable=is_retryable)


@dataclass(frozen=True)
class Step:
    """One step of the model: the actions of its script."""

    prompt: str
    number: int
    """0-based place in the script of the prompt."""
    actions: Sequence[Action]


def next_step(messages: Sequence[Document]) -> Step:
    """Decide what the model does next, from the session alone."""
    users = [place for place, one in enumerate(messages) if one["info"]["role"] == "user"]
    prompt = prompt_of(messages[users[-1]])
    later = messages[users[-1] + 1 :]
    number = sum(1 for message in later if _has_content(message))
    written = script.parse(prompt)
    if not written:
        return Step(prompt, number, [Action("SAY", f"echo[{len(users)}]: {prompt}")])
    steps = script.steps_of(written)
    if number < len(steps):
        return Step(prompt, number, steps[number])
    return Step(prompt, number, [Action("SAY", f"script done after {len(steps)} steps.")])


def prompt_of(message: Document) -> str:
    """The text of a user's message, without what opencode added."""
    parts = [part for part in message["parts"] if part["type"] == "text"]
    return "\n".join(part["text"] for part in parts if not part.get("synthetic"))


def _has_content(message: Document) -> bool:
    """Whether the model is shown the message: what broke before it said anything is left out."""
    return any(
        part["type"] == "tool" or (part["type"] == "text" and part["text"])
        for part in message["parts"]
    )


class Tries:
    """Counts how often a scripted failure has happened."""

    def __init__(self) -> None:
        self._tries: Counter[tuple[str, int, int]] = Counter()

    def failure(self, step: Step) -> Failure | None:
        """The failure that meets this try of the step before its stream begins, if any."""
        for place, action in enumerate(step.actions):
            if action.word != "FAIL":
                continue
            found = script.failure(action)
            if found.kind not in _BEFORE_THE_STREAM and not found.kind.isdigit():
                continue
            key = (step.prompt, step.number, place)
            self._tries[key] += 1
            if found.times is None or self._tries[key] <= found.times:
                return found
        return None


_BEFORE_THE_STREAM = frozenset({"context", "hangup", "garbage"})


def is_retryable(failure: Failure) -> bool:
    """Whether opencode asks again after this."""
    if failure.kind == "hangup":
        return True
    status = int(failure.kind) if failure.kind.isdigit() else 0
    return status == 429 or status >= 500


def tokens_of(step: Step) -> Document:
    """Tokens of one step, in opencode's shape."""
    numbers = [100, 20, 0]
    for action in step.actions:
        if action.word == "USAGE":
            given = [int(number) for number in action.rest.split()]
            numbers[: len(given)] = given
    given_tokens, made, cached = numbers
    return {
        "total": given_tokens + made,
        "input": given_tokens - cached,
        "output": made,
        "reasoning": 0,
        "cache": {"read": cached, "write": 0},
    }
