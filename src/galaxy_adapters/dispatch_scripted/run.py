"""One run of the scripted agent: what its lines do, within the limits of the request."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import timedelta
from itertools import count

import anyio
from attrs import define, field

from galaxy_adapters.dispatch_scripted.script import Line
from galaxy_core.domain.ids import RequestId
from galaxy_core.domain.run import (
    Answer,
    Option,
    PermissionChoice,
    PermissionReply,
    PermissionRequested,
    Question,
    QuestionAsked,
    QuestionReply,
    RequestResolved,
    RunEnded,
    RunEvent,
    RunLimits,
    TextAppended,
    Verdict,
)
from galaxy_core.ports.clock import Clock

LABEL = "Scripted demo agent - no model was asked."
"""The first line of every answer."""


class _Over(Exception):
    """The run ends here."""

    def __init__(self, verdict: Verdict, reason: str) -> None:
        super().__init__(reason)
        self.verdict = verdict
        self.reason = reason


@define(eq=False, kw_only=True)
class Run:
    """Plays a script; people answer through `waiting`."""

    name: str
    lines: list[Line]
    limits: RunLimits
    clock: Clock
    allowed: set[str]
    """Beginnings that a person allowed for good; shared by the runs of a session."""
    text: str = ""
    """What was said so far."""
    waiting: dict[RequestId, Answer | None] = field(factory=dict, init=False)
    """Requests that nobody has answered, with the answer once it is there."""
    is_cancelled: bool = field(default=False, init=False)
    _change: anyio.Event = field(factory=anyio.Event, init=False)
    _spent: timedelta = field(default=timedelta(0), init=False)
    _numbers: count[int] = field(factory=lambda: count(1), init=False)

    def wake(self) -> None:
        """An answer came, or the run was cancelled."""
        self._change.set()
        self._change = anyio.Event()

    async def events(self) -> AsyncGenerator[RunEvent, None]:
        """Play it; the last event is `RunEnded`."""
        verdict, reason = Verdict.SUCCEEDED, None
        try:
            yield self._say(f"{LABEL}\n", "label")
            for line in self.lines:
                async with aclosing(self._play(line)) as told:
                    async for event in told:
                        yield event
        except _Over as over:
            verdict, reason = over.verdict, over.reason
        yield RunEnded(verdict=verdict, text=self.text, reason=reason)

    async def _play(self, line: Line) -> AsyncGenerator[RunEvent, None]:
        match line.word:
            case "SAY":
                part = f"part-{next(self._numbers)}"
                pieces = _pieces("\n" + line.rest)
                for piece in pieces:
                    yield self._say(piece, part)
            case "SLEEP":
                await self._sleep(timedelta(seconds=line.seconds))
            case "FAIL":
                raise _Over(Verdict.FAILED, line.rest or "The script says so.")
            case "PERMIT":
                async with aclosing(self._permit(line.rest)) as told:
                    async for event in told:
                        yield event
            case "ASK":
                async with aclosing(self._ask(line.rest)) as told:
                    async for event in told:
                        yield event

    def _say(self, text: str, part: str) -> TextAppended:
        self.text += text
        return TextAppended(text=text, part=part)

    # ---- people

    async def _permit(self, what: str) -> AsyncGenerator[RunEvent, None]:
        beginning = what.partition(" ")[0]
        if beginning in self.allowed:
            return
        request = PermissionRequested(
            request_id=self._request(),
            permission="scripted",
            patterns=(what,),
            title=what,
            always=(f"{beginning} *",),
        )
        yield request
        answer = await self._answer(request.request_id)
        if not isinstance(answer, PermissionReply):
            answer = PermissionReply(choice=PermissionChoice.REJECT)
        yield RequestResolved(request_id=request.request_id, how=answer.choice.value)
        if answer.choice is PermissionChoice.ALWAYS:
            self.allowed.add(beginning)
        if answer.choice is PermissionChoice.REJECT and answer.message is None:
            raise _Over(Verdict.FAILED, f"The permission for “{what}” was refused.")

    async def _ask(self, rest: str) -> AsyncGenerator[RunEvent, None]:
        text, *labels = [part.strip() for part in rest.split("|")]
        options = tuple(Option(label=label) for label in labels)
        question = Question(text=text, header=text[:30], options=options)
        request = QuestionAsked(request_id=self._request(), questions=(question,))
        yield request
        answer = await self._answer(request.request_id)
        is_answered = isinstance(answer, QuestionReply)
        how = "answered" if is_answered else "rejected"
        yield RequestResolved(request_id=request.request_id, how=how)
        if not is_answered:
            raise _Over(Verdict.FAILED, f"Nobody wanted to answer “{text}”.")

    def _request(self) -> RequestId:
        return RequestId(f"{self.name}-{next(self._numbers)}")

    async def _answer(self, request_id: RequestId) -> Answer:
        """Wait for a person, as long as it takes; that time counts for no limit."""
        self.waiting[request_id] = None
        while (answer := self.waiting[request_id]) is None:
            self._raise_if_cancelled()
            await self._change.wait()
        del self.waiting[request_id]
        return answer

    # ---- time

    async def _sleep(self, duration: timedelta) -> None:
        total, silence = _minus(self.limits.total, self._spent), self.limits.silence
        until_limit = min((limit for limit in (total, silence) if limit), default=duration)
        await self._nap(min(duration, until_limit))
        self._spent += duration
        self._raise_if_cancelled()
        if duration <= until_limit:
            return
        if until_limit == total:
            raise _Over(
                Verdict.FAILED, f"It took longer than the {self.limits.total} that it was given."
            )
        raise _Over(Verdict.FAILED, f"There was no sign of life for {silence}.")

    async def _nap(self, duration: timedelta) -> None:
        """Sleep, but not beyond a cancellation."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._leave_when_woken, tasks.cancel_scope, name="scripted-agent")
            await self.clock.sleep(duration)
            tasks.cancel_scope.cancel()

    async def _leave_when_woken(self, scope: anyio.CancelScope) -> None:
        while not self.is_cancelled:
            await self._change.wait()
        scope.cancel()

    def _raise_if_cancelled(self) -> None:
        if self.is_cancelled:
            raise _Over(Verdict.CANCELLED, "It was cancelled.")


def _minus(limit: timedelta | None, spent: timedelta) -> timedelta | None:
    return None if limit is None else max(limit - spent, timedelta(microseconds=1))


def _pieces(text: str) -> list[str]:
    """Words with the space before them: what a model would say one after the other."""
    pieces: list[str] = []
    for word in text.split(" "):
        pieces.append(f" {word}" if pieces else word)
    return pieces
