"""One turn of the fake opencode: model steps until the model stops, with tools in between."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from galaxy_core.testing import script
from galaxy_core.testing.opencode.ids import identifier, now_ms
from galaxy_core.testing.opencode.message import AssistantMessage
from galaxy_core.testing.opencode.provider import (
    RETRIES,
    ProviderError,
    Step,
    is_retryable,
    next_step,
    tokens_of,
)
from galaxy_core.testing.opencode.store import Document
from galaxy_core.testing.opencode.tools import (
    ToolContext,
    ToolFailed,
    TurnStopped,
    find_tool,
)
from galaxy_core.testing.script import TOOL_WORDS, Action, Failure, ToolCall

if TYPE_CHECKING:
    from galaxy_core.testing.opencode.engine import Engine

_STALL_SECONDS = 3600.0
_GARBAGE_PACE_SECONDS = 0.02
"""Between two steps that a provider answers with rubbish; the original makes 2.5 a second."""
_STOPPED = "stopped"
"""The finish of a step after which nothing follows, though its message says `tool-calls`."""


class Turn:
    """What one session works on; ends with `session.idle`."""

    def __init__(self, engine: Engine, session: Document) -> None:
        self._engine = engine
        self.session = session
        self.directory: str = session["directory"]
        self.status: Document = {"type": "busy"}
        self.text = ""
        """What the newest message says."""
        self.task: asyncio.Task[None] | None = None
        self._is_aborted = False
        self._message: AssistantMessage | None = None

    def abort(self) -> None:
        """Stop in the middle."""
        self._is_aborted = True
        if self.task is not None:
            self.task.cancel()

    # ---- the turn

    async def run(self) -> None:
        """Work until the model stops; errors end in the message and on the bus."""
        self._say_status({"type": "busy"})
        try:
            await self._steps()
        except ProviderError as error:
            self._end_badly(error.error)
        except asyncio.CancelledError:
            # A sub-agent's turn runs in its parent's task, which handles the end of both.
            self._end_badly({"name": "MessageAbortedError", "data": {"message": "Aborted"}})
            self._say_idle()
            if not self._is_aborted:
                raise
        self._say_idle()

    async def _steps(self) -> None:
        model = self.session["model"]
        name = f"{model['providerID']}/{model.get('modelID') or model.get('id')}"
        if name not in self._engine.project(self.directory).models:
            raise ProviderError("UnknownError", f"Model not found: {name}.")
        while True:
            messages = self._engine.store.messages(self.session["id"])
            user = _newest("user", messages)
            answer = _newest("assistant", messages)
            if _is_last(answer) and answer.get("parentID") == user["id"]:
                return  # another prompt that came in meanwhile would have joined this turn
            step = next_step(messages)
            self._message = AssistantMessage(self._engine, self.session, user)
            finish = await self._step(step, self._message)
            self.text = self._message.text or self.text
            if finish == _STOPPED:
                return

    def _end_badly(self, error: Document) -> None:
        if self._message is not None:
            self._message.fail(error)
        for _ in range(2):  # told twice, as in the original
            self._publish("session.error", {"error": error})

    # ---- one step

    async def _step(self, step: Step, message: AssistantMessage) -> str:
        is_rubbish = await self._ask_provider(step)
        message.begin_step()
        if is_rubbish:
            await asyncio.sleep(_GARBAGE_PACE_SECONDS)
            return message.finish("unknown", tokens_of(step))
        finish = await self._stream(step, message)
        calls = [script.tool_call(action) for action in step.actions if action.word in TOOL_WORDS]
        if not calls:
            if finish == "content-filter":
                message.finish(finish, tokens_of(step))
                raise ProviderError("ContentFilterError", "Content filtered by the provider")
            return message.finish(finish, tokens_of(step))
        is_stopped = await self._call(calls, message)
        message.finish("tool-calls", tokens_of(step))
        return _STOPPED if is_stopped else "tool-calls"

    async def _ask_provider(self, step: Step) -> bool:
        """Reach the provider, again and again if need be; whether it answers with rubbish."""
        wait = float(self._engine.environment.get("FAKE_OPENCODE_RETRY_SECONDS", "0.02"))
        for attempt in itertools.count(1):
            if step.number == 0:
                self._engine.store.note_call(step.prompt)
            for action in itertools.takewhile(lambda one: one.word == "SLEEP", step.actions):
                await asyncio.sleep(action.number)
            failure = self._engine.tries.failure(step)
            if failure is None:
                return False
            if failure.kind == "garbage":
                return True
            if failure.kind == "context":
                raise ProviderError("ContextOverflowError", "prompt is too long")
            if not is_retryable(failure) or attempt > RETRIES:
                raise ProviderError.refused(failure, is_retryable=is_retryable(failure))
            await self._wait_for_retry(failure, attempt, wait * 2 ** (attempt - 1))
        raise AssertionError("unreachable")

    async def _wait_for_retry(self, failure: Failure, attempt: int, seconds: float) -> None:
        if failure.retry_after:
            seconds = float(failure.retry_after)
        message = failure.message or f"scripted failure {failure.kind}"
        next_at = now_ms() + int(seconds * 1000)
        retry: Document = {"type": "retry", "attempt": attempt, "message": message}
        self._say_status(retry | {"next": next_at})
        await asyncio.sleep(seconds)
        self._say_status({"type": "busy"})

    async def _stream(self, step: Step, message: AssistantMessage) -> str:
        """Say what the step says; gives its finish reason."""
        pace, finish, has_begun = 0.0, "stop", False
        for action in step.actions:
            match action.word:
                case "SLOW":
                    pace = float(action.rest or 0.1)
                case "SLEEP" if has_begun:
                    await asyncio.sleep(action.number)
                case "FAIL":
                    finish = await self._fail_in_stream(action, finish)
                case "SAY" | "LONG" | "THINK" | "DUMP":
                    has_begun = True
                    kind = "reasoning" if action.word == "THINK" else "text"
                    await message.stream(kind, _words(action, step), pace)
        message.close_part()
        return finish

    async def _fail_in_stream(self, action: Action, finish: str) -> str:
        match script.failure(action).kind:
            case "stall":
                await asyncio.sleep(_STALL_SECONDS)
            case "midstream":
                return "unknown"
            case "length":
                return "length"
            case "filter":
                return "content-filter"
        return finish

    # ---- tools

    async def _call(self, calls: list[ToolCall], message: AssistantMessage) -> bool:
        """Run the step's calls side by side; whether one of them stops the turn."""
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(self._call_one(call, message), name=f"tool {call.name}")
                for call in calls
            ]
        return any(task.result() for task in running)

    async def _call_one(self, call: ToolCall, message: AssistantMessage) -> bool:
        engine = self._engine
        call_id = identifier("call")
        tool = find_tool(call.name, engine.project(self.directory))
        if tool is None or call.raw is not None:
            message.tool_invalid(call_id, call)
            return False
        part = message.tool_pending(call_id, call)
        context = ToolContext(
            store=engine.store,
            bus=engine.bus,
            asks=engine.asks,
            project=engine.project(self.directory),
            environment=engine.environment,
            session_id=self.session["id"],
            message_id=message.id,
            call_id=call_id,
            started=lambda metadata: message.tool_running(part, call, metadata),
            delegate=self._delegate,
        )
        try:
            result = await tool(context, call.arguments)
        except ToolFailed as error:
            message.tool_failed(part, call, str(error))
            return isinstance(error, TurnStopped)
        except asyncio.CancelledError:
            message.tool_failed(part, call, "Tool execution aborted")
            raise
        message.tool_completed(part, call, result)
        return False

    async def _delegate(self, agent: str, description: str, prompt: str) -> tuple[str, str]:
        return await self._engine.delegate(self.session, agent, description, prompt)

    # ---- the bus

    def _say_status(self, status: Document) -> None:
        self.status = status
        self._publish("session.status", {"status": status})

    def _say_idle(self) -> None:
        self._publish("session.status", {"status": {"type": "idle"}})
        self._publish("session.idle", {})

    def _publish(self, kind: str, properties: Document) -> None:
        told = {"sessionID": self.session["id"]}
        self._engine.bus.publish(self.directory, kind, told | properties)


def _newest(role: str, messages: Sequence[Document]) -> Document:
    """What is said of the newest message of somebody; by their dates, as the original sees them."""
    of_role = [one["info"] for one in messages if one["info"]["role"] == role]
    return of_role[-1] if of_role else {}


def _is_last(answer: Document) -> bool:
    """Whether nothing follows on a message."""
    return answer.get("finish") not in {None, "tool-calls", "unknown"}


def _words(action: Action, step: Step) -> list[str]:
    if action.word == "LONG":
        return script.words_of(script.filler(action.rest))
    if action.word == "DUMP":
        return [f'{{"prompt": {len(step.prompt)}}}']
    # An echo is given whole, with whatever white space the prompt has.
    return script.words_of(action.rest)
