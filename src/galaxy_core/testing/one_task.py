"""Coroutines called from synchronous code, all of them in one task of one event loop.

What is opened by one call may then be used and closed by another, cancel scopes and task groups
included; separate runs of a loop could not do that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

_Result = TypeVar("_Result")


PATIENCE = timedelta(seconds=20)
"""No call of a test takes so long, however busy the machine is."""


class OneTask:
    """A task in an event loop of its own, in the caller's thread; a context manager.

    No call lasts for ever: one that waits for what never comes raises `AssertionError` after
    `patience`.  One that is left by an exception from outside (Ctrl-C, a test's timeout) is
    cancelled, so that closing does not wait behind it.
    """

    def __init__(self, patience: timedelta = PATIENCE) -> None:
        self._patience = patience.total_seconds()
        self._is_over = False

    def __enter__(self) -> Self:
        self._runner = asyncio.Runner()
        self._loop = self._runner.get_loop()
        self._calls: asyncio.Queue[
            tuple[Callable[[], Awaitable[Any]], asyncio.Future[Any]] | None
        ] = asyncio.Queue()
        self._serving = self._loop.create_task(self._serve(), name="one task")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._calls.put_nowait(None)
        try:
            self._loop.run_until_complete(self._serving)
        finally:
            self._is_over = True
            self._runner.close()

    def call(self, function: Callable[[], Awaitable[_Result]]) -> _Result:
        """Await what the function gives, and return or raise what comes of it."""
        answer: asyncio.Future[_Result] = self._loop.create_future()
        self._calls.put_nowait((function, answer))
        try:
            return self._loop.run_until_complete(answer)
        finally:
            if not answer.done():
                answer.cancel()
                self._serving.cancel()

    async def _serve(self) -> None:
        while (call := await self._next()) is not None:
            function, answer = call
            try:
                result = await self._in_time(function)
            except BaseException as error:
                if self._is_over:
                    raise
                self._forget_cancellation()
                if not answer.done():
                    answer.set_exception(error)
            else:
                if not answer.done():
                    answer.set_result(result)

    async def _next(self) -> tuple[Callable[[], Awaitable[Any]], asyncio.Future[Any]] | None:
        while True:
            try:
                return await self._calls.get()
            except asyncio.CancelledError:
                if self._is_over:
                    raise
                # The call that was meant had just ended.
                self._forget_cancellation()

    async def _in_time(self, function: Callable[[], Awaitable[_Result]]) -> _Result:
        # Not anyio's: what the call opens may stay open after it, and its scopes would not nest.
        try:
            async with asyncio.timeout(self._patience) as limit:
                return await function()
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise AssertionError(f"nothing came of it within {self._patience} seconds") from error

    @staticmethod
    def _forget_cancellation() -> None:
        task = asyncio.current_task()
        while task is not None and task.cancelling():
            task.uncancel()
