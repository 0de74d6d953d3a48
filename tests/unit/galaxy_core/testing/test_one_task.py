"""Coroutines called from synchronous code."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import anyio
import pytest

from galaxy_core.testing.one_task import OneTask


async def never() -> None:
    """Wait for what never comes."""
    await anyio.Event().wait()


async def one() -> int:
    """Answer."""
    return 1


def test_call_that_never_ends_fails() -> None:
    """A dead wait becomes a failure, and what follows goes on."""
    with OneTask(timedelta(milliseconds=20)) as task:
        with pytest.raises(AssertionError, match="within"):
            task.call(never)
        assert task.call(one) == 1


def test_what_a_call_opened_stays_open_when_a_later_one_fails() -> None:
    """A harness can be closed after a rule that never ended."""
    stack = AsyncExitStack()

    async def begin() -> None:
        group = await stack.enter_async_context(anyio.create_task_group())
        group.start_soon(never)
        stack.callback(group.cancel_scope.cancel)

    async def end() -> None:
        await stack.aclose()

    with OneTask(timedelta(milliseconds=50)) as task:
        task.call(begin)
        with pytest.raises(AssertionError, match="within"):
            task.call(never)
        task.call(end)
        assert task.call(one) == 1


def test_interrupted_call_is_given_up() -> None:
    """A timeout in the middle of a call must not leave the next ones waiting behind it."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    async def interrupted() -> None:
        asyncio.get_running_loop().call_soon(interrupt)
        await never()

    with OneTask() as task:
        with pytest.raises(KeyboardInterrupt):
            task.call(interrupted)
        assert task.call(one) == 1


def test_failure_of_a_call_is_the_callers() -> None:
    """Errors come through as they are, a timeout of the called code's own too."""

    async def fail() -> None:
        raise TimeoutError("mine")

    with OneTask() as task:
        with pytest.raises(TimeoutError, match="mine"):
            task.call(fail)
        assert task.call(one) == 1
