"""Failures on demand: what an adapter may run into, and `kill -9` at any step that writes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio.lowlevel import checkpoint
from attrs import define, field


class Crash(BaseException):
    """Stands for `kill -9`: no `except Exception` stops it, nothing may be tidied up after it."""


@define
class _Fault:
    operation: str | None
    step: int | None
    error: BaseException
    is_done: bool
    times: int | None

    def fits(self, operation: str, step: int | None) -> bool:
        by_name = self.operation is None or self.operation == operation
        by_step = self.step is None or self.step == step
        return by_name and by_step and self.times != 0


@define(eq=False)
class Faults:
    """What goes wrong, and a log of every write; one object is shared by many memory adapters.

    Operations are named `<port>.<method>`: `queue.ack`, `responses.commit`, `journal.read`.
    Writes are numbered from 1 over all adapters that share the object.
    """

    writes: list[str] = field(factory=list)
    """Names of all writes that were begun, in order."""
    _planned: list[_Fault] = field(factory=list)

    def fail(
        self,
        operation: str | None,
        error: BaseException,
        *,
        times: int | None = 1,
        is_done: bool = False,
    ) -> None:
        """Raise `error` from the next `times` calls (None: from all) of the operation (None: any).

        With `is_done` the operation takes effect first, as when the power fails before the
        answer is heard.
        """
        self._planned.append(_Fault(operation, None, error, is_done, times))

    def crash_at(self, step: int, *, is_done: bool = False) -> None:
        """Raise `Crash` at write number `step`: before it takes effect, or after."""
        self._planned.append(_Fault(None, step, Crash(f"at write {step}"), is_done, 1))

    def clear(self) -> None:
        """Nothing goes wrong from now on; the log begins anew."""
        self._planned.clear()
        self.writes.clear()

    @asynccontextmanager
    async def around(self, operation: str, *, is_write: bool = True) -> AsyncIterator[None]:
        """Run one operation of an adapter, with whatever was planned for it."""
        await checkpoint()
        step = None
        if is_write:
            self.writes.append(operation)
            step = len(self.writes)
        fault = next((f for f in self._planned if f.fits(operation, step)), None)
        if fault is not None and fault.times is not None:
            fault.times -= 1
        if fault is not None and not fault.is_done:
            raise fault.error
        yield
        if fault is not None:
            raise fault.error
