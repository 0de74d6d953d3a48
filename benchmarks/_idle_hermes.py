"""A real Hermes whose agent only looks at the clock: `python -m benchmarks._idle_hermes FOLDER`.

Built by the real wiring with every real adapter but the agent.  On standard output, one JSON
object a line: `{"ready": N}` once N waiting orders are known, and after `stop` on standard input
`{"calls": {order: [prepare, run]}, "syncs": [[moment, file]]}`, moments in ns of the monotonic
clock.  A payload of `HOLD` keeps the agent busy until the end.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path

import anyio
from attrs import define, field

from benchmarks._child import say
from benchmarks._project import open_project
from galaxy_adapters.audit_jsonl import _log as audit_log
from galaxy_adapters.queue_filesystem import FilesystemOrderQueue
from galaxy_apps.daemons import start_is_over
from galaxy_apps.logging import configure_logging
from galaxy_apps.wiring import Place
from galaxy_apps.wiring_hermes import build_hermes
from galaxy_core.domain.delivery import Finding, Ticket, TicketKind
from galaxy_core.domain.ids import RequestId
from galaxy_core.domain.run import (
    Answer,
    DispatcherHealth,
    RunEnded,
    RunEvent,
    RunRequest,
    RunStarted,
    Verdict,
)
from galaxy_core.domain.session import Session
from galaxy_core.ports.dispatcher import Dispatcher

HOLD = "HOLD"


@define
class Stopwatch(Dispatcher):
    """An agent that answers at once and notes when it was called."""

    calls: dict[str, list[int]] = field(factory=dict)

    @property
    def name(self) -> str:
        return "stopwatch"

    async def prepare(
        self,
        request: RunRequest,
        session: Session | None,
        *,
        attempt: int,
        kind: TicketKind = TicketKind.PROMPT,
    ) -> Ticket:
        self.calls[request.order_id] = [time.monotonic_ns()]
        known = session.session_id if session else None
        return Ticket(
            dispatcher=self.name,
            session_id=known or f"ses_{request.order_id}",
            message_id=f"msg_{request.order_id}",
            attempt=attempt,
            kind=kind,
        )

    async def run(self, request: RunRequest, ticket: Ticket) -> AsyncGenerator[RunEvent, None]:
        self.calls[request.order_id].append(time.monotonic_ns())
        yield RunStarted(session_id=ticket.session_id, message_id=ticket.message_id)
        if request.prompt == HOLD:
            await anyio.sleep_forever()
        yield RunEnded(verdict=Verdict.SUCCEEDED, text="done", session_id=ticket.session_id)

    async def find(self, ticket: Ticket) -> Finding:
        return Finding.UNKNOWN

    async def answer(self, ticket: Ticket, request_id: RequestId, answer: Answer) -> None:
        raise NotImplementedError("nobody is asked")

    async def cancel(self, ticket: Ticket) -> None:
        """There is nothing to stop."""

    async def check(self) -> DispatcherHealth:
        return DispatcherHealth(is_ready=True, name=self.name)


@define
class TimedPlace(Place):
    """A place whose agent is the stopwatch; it remembers the queue that was made."""

    agent: Stopwatch = field(factory=Stopwatch)
    orders: FilesystemOrderQueue | None = field(default=None, init=False)

    def queue(self) -> FilesystemOrderQueue:
        self.orders = Place.queue(self)
        return self.orders

    def dispatcher(self, *, is_service: bool = True) -> AbstractAsyncContextManager[Dispatcher]:
        return nullcontext(self.agent)


def note_syncs() -> list[tuple[int, str]]:
    """From now on, every sync of this process: when it began, and of what."""
    syncs: list[tuple[int, str]] = []

    def noting(sync: Callable[[int], None]) -> Callable[[int], None]:
        def noted(fd: int) -> None:
            syncs.append((time.monotonic_ns(), str(Path(f"/proc/self/fd/{fd}").readlink())))
            sync(fd)

        return noted

    os.fsync = noting(os.fsync)  # type: ignore[assignment]  # descriptors are all we have
    audit_log._sync_data = noting(audit_log._sync_data)
    return syncs


async def serve(folder: Path) -> None:
    """Run until told to stop."""
    found = open_project(folder)
    place = TimedPlace(found.settings, found.machine)
    syncs = note_syncs()
    async with build_hermes(place) as hermes, anyio.create_task_group() as tasks:

        async def listen() -> None:
            while True:
                line = await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)
                if line.strip() != "ready?":
                    break
                queue = place.orders
                assert queue is not None
                while queue._intake.is_loading:  # noqa: ASYNC110 - it rings no bell
                    await anyio.sleep(0.05)
                say({"ready": len(queue._index)})
            hermes.stop()
            hermes.stop()

        tasks.start_soon(listen, name="listen")
        start_is_over()
        await hermes.run()
        tasks.cancel_scope.cancel()
    say({"calls": place.agent.calls, "syncs": syncs})


if __name__ == "__main__":
    configure_logging(level="ERROR")
    anyio.run(serve, Path(sys.argv[1]))
