"""Coroutines called from synchronous code, all of them in one task of one event loop.

What is opened by one call may then be used and closed by another, cancel scopes and task groups
included; separate runs of a loop could not do that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self, TypeVar

_Result = TypeVar("_Result")


class OneTask:
    """A task in an event loop of its own, in the caller's thread; a context manager."""

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
        self._loop.run_until_complete(self._serving)
        self._runner.close()

    def call(self, function: Callable[[], Awaitable[_Result]]) -> _Result:
        """Await what the function gives, and return or raise what comes of it."""
        answer: asyncio.Future[_Result] = self._loop.create_future()
        self._calls.put_nowait((function, answer))
        return self._loop.run_until_complete(answer)

    async def _serve(self) -> None:
        while (call := await self._calls.get()) is not None:
            function, answer = call
            try:
                answer.set_result(await function())
            except BaseException as error:  # noqa: BLE001 - handed to the caller, who raises it
                answer.set_exception(error)
