"""Parts that work side by side in one process, each started again when it dies.

A part that dies takes no other one with it, and never dies in silence: it is said in the log, and
begins anew after a pause.  One that cannot even begin at the start ends the whole, with a sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Protocol

import anyio
import structlog
from anyio.abc import TaskStatus
from attrs import define, field

from galaxy_apps.daemons import expected_error
from galaxy_core.domain.errors import GalaxyError
from galaxy_core.domain.policy import RetryPolicy
from galaxy_core.ports.clock import Clock

log = structlog.get_logger(__name__)

AGAIN = RetryPolicy(ceiling=timedelta(minutes=1))
"""Pauses before a part begins anew."""
SETTLED = timedelta(minutes=2)
"""A part that has worked for so long is well: the next pause is a short one again."""


class Runner(Protocol):
    """What a part does while it is open."""

    async def run(self) -> None:
        """Work until `stop()`."""

    def stop(self) -> None:
        """Ask for the end; asked twice, hurry."""


@define(eq=False)
class Part:
    """One part: Hermes of a machine, the gateway, the page."""

    name: str
    _open: Callable[[], AbstractAsyncContextManager[Runner]]
    _clock: Clock
    _runner: Runner | None = field(default=None, init=False)
    _stopping: anyio.Event = field(factory=anyio.Event, init=False)

    @property
    def is_up(self) -> bool:
        """Whether it works now."""
        return self._runner is not None

    def stop(self) -> None:
        """Ask for the end; asked twice, hurry."""
        self._stopping.set()
        if self._runner is not None:
            self._runner.stop()

    async def keep(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Keep it working until `stop()`; has begun when it was opened once.

        Raises what kept it from being opened the first time.
        """
        attempt, has_begun = 0, False
        while not self._stopping.is_set():
            began = self._clock.monotonic()
            problem = "it ended by itself"
            try:
                async with self._open() as runner:
                    self._runner = runner
                    if not has_begun:
                        has_begun = True
                        task_status.started()
                    if not self._stopping.is_set():
                        await runner.run()
            except (GalaxyError, BaseExceptionGroup) as error:
                found = _sentence(error)
                if not has_begun:
                    raise
                problem = found
            except Exception as error:
                # Supervision point: a bug in one part must not end the others.
                if not has_begun:
                    raise
                log.exception("part.failed", part=self.name)
                problem = repr(error)
            finally:
                self._runner = None
            if self._stopping.is_set():
                break
            is_settled = self._clock.monotonic() - began > SETTLED.total_seconds()
            attempt = 1 if is_settled else attempt + 1
            delay = AGAIN.delay(attempt, draw=0.5)
            log.error(
                "part.restarted",
                part=self.name,
                problem=problem,
                again_in_seconds=round(delay.total_seconds(), 1),
            )
            await self._pause(delay)
        if not has_begun:
            task_status.started()

    async def _pause(self, delay: timedelta) -> None:
        """Wait, unless told to stop."""
        async with anyio.create_task_group() as tasks:

            async def wake() -> None:
                await self._stopping.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(wake, name="wake")
            await self._clock.sleep(delay)
            tasks.cancel_scope.cancel()


def _sentence(error: BaseException) -> str:
    """What went wrong, in words; raises what is no failure but the end (a cancellation)."""
    if not isinstance(error, BaseExceptionGroup):
        return str(error)
    failures, others = error.split(Exception)
    if others is not None or failures is None:
        raise error
    try:
        return str(expected_error(failures))
    except BaseExceptionGroup:
        log.exception("part.failed")
        return repr(failures)
