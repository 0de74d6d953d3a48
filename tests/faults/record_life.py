"""`python -m tests.faults.record_life FOLDER STOP_AT`: orders from their file to the archive.

The real queue, run journal, response store, outbox, trail and settlement, without an agent.  Says
what was promised, on standard output.  Stops itself (SIGSTOP) before the call number STOP_AT that
changes a file or syncs one; 0: never.  `check` looks at what a power cut has left.
"""

import itertools
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import anyio

from galaxy_adapters._files import durable, rename
from galaxy_adapters.audit_jsonl import JsonlAuditSink
from galaxy_adapters.clock_system import SystemClock
from galaxy_adapters.journal_filesystem import FilesystemRunJournal
from galaxy_adapters.outbox_filesystem import FilesystemOutbox
from galaxy_adapters.responses_filesystem import FilesystemResponseStore
from galaxy_core.domain.ids import OrderId
from galaxy_core.services.settlement import SettlementDesk
from galaxy_core.services.trail import Trail
from galaxy_core.testing.factories import make_ending, make_order, make_settlement, make_ticket
from galaxy_core.testing.memory import MemoryControl, MemoryIncidentSink
from galaxy_core.wire.layout import Layout
from galaxy_core.wire.response import parse_response
from tests.faults import queue_cycle

CALLS = (
    *("write", "fsync", "fdatasync", "rename", "link", "symlink", "mkdir", "unlink", "rmdir"),
    "ftruncate",
)


def answer_to(order_id: str) -> str:
    """An answer of some pages, so that it has beginning, middle and end on the disk."""
    return "\n".join(f"{order_id}: line {number}" for number in range(600))


async def live(folder: Path, say: queue_cycle.Say, numbers: Iterable[int]) -> None:
    """Accept, claim, write down and end one order after the other."""
    layout, clock = Layout(folder), SystemClock()
    journal = FilesystemRunJournal(layout)
    outbox = FilesystemOutbox(layout, clock, MemoryIncidentSink())
    audit = JsonlAuditSink(layout.audit_log)
    async with queue_cycle.open_queue(folder) as queue:
        desk = SettlementDesk(
            queue,
            FilesystemResponseStore(layout),
            outbox,
            journal,
            MemoryControl(clock),
            Trail(audit, clock, "test"),
            clock,
            "test",
        )
        for number in numbers:
            new = make_order(id=f"order-{number}", session=f"talk-{number % 3}")
            order_id = (await queue.enqueue(new)).order_id
            say("accepted", order_id)
            delivery = await queue.claim()
            assert delivery is not None
            await journal.write_ticket(order_id, make_ticket())
            say("ticket", order_id)
            await desk.settle(
                delivery,
                make_settlement(
                    order_id=order_id, text=answer_to(order_id), ending=make_ending(attempts=1)
                ),
            )
            say("ended", order_id)
    outbox.close()


async def check(folder: Path, said: list[tuple[str, str]]) -> list[str]:
    """What is not as it was promised after a power cut, one sentence each."""
    layout, journal = Layout(folder), FilesystemRunJournal(Layout(folder))
    wrong: list[str] = []
    archived = _whole(layout.archive, wrong)
    letters = {name.removeprefix("hermes-") for name in _whole(layout.outbox, wrong)}
    answered = _answered(layout, wrong)
    wrong += [f"{each} is archived without an answer" for each in archived - (answered & letters)]
    for each in (answered | letters) - archived:
        decision = (await journal.read(OrderId(each))).settlement
        if decision is None or decision.text != answer_to(each):
            wrong.append(f"{each} is answered, and its decision is lost")
    for each in _about("ticket", said) - archived:
        if not (await journal.read(OrderId(each))).tickets:
            wrong.append(f"the ticket of {each} is lost")
    wrong += [f"{each} had ended, not archived" for each in _about("ended", said) - archived]
    async with queue_cycle.open_queue(folder) as queue:
        came = set()
        while (delivery := await queue.claim()) is not None:
            came.add(str(delivery.order.id))
            await queue.ack(delivery, make_ending())
    wrong += [f"{each} had ended and came again" for each in archived & came]
    lost = _about("accepted", said) - archived - came
    return wrong + [f"{each} was accepted and is lost" for each in lost]


def _about(step: str, said: list[tuple[str, str]]) -> set[str]:
    return {order_id for said_step, order_id in said if said_step == step}


def _whole(folder: Path, wrong: list[str]) -> set[str]:
    """The names in a folder of JSON files, all of which have to be whole."""
    names = set()
    for path in folder.glob("*.json"):
        try:
            json.loads(path.read_bytes())
        except ValueError:
            wrong.append(f"{folder.name}/{path.name} is torn: {path.stat().st_size} bytes")
        names.add(path.stem)
    return names


def _answered(layout: Layout, wrong: list[str]) -> set[str]:
    prefix, suffix = layout.response("@").name.split("@")
    names = set()
    for path in layout.notepads.glob(f"{prefix}*{suffix}"):
        order_id = path.name.removeprefix(prefix).removesuffix(suffix)
        now = SystemClock().now()
        response = parse_response(path.read_bytes(), order_id=order_id, written_at=now)
        if response.text != answer_to(order_id):
            wrong.append(f"{path.name} is torn: {path.stat().st_size} bytes")
        names.add(order_id)
    return names


def stop_at(number: int) -> None:
    """Have this process stop itself before a call, in whatever thread that is."""
    calls = itertools.count(1)

    def stopping(call: Callable[..., Any]) -> Callable[..., Any]:
        def stopped(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - the call's own
            if next(calls) == number:
                os.kill(os.getpid(), signal.SIGSTOP)
            return call(*args, **options)

        return stopped

    for name in CALLS:
        setattr(os, name, stopping(getattr(os, name)))
    durable.write_out = stopping(durable.write_out)  # type: ignore[attr-defined]
    renameat2 = rename._find_renameat2()
    if renameat2 is not None:
        stopping_rename = stopping(renameat2)
        rename._find_renameat2 = lambda: stopping_rename  # type: ignore[assignment]


def main(folder: str, stops_at: str) -> None:
    """Live: three orders with a stop, or without end."""
    number = int(stops_at)
    numbers = range(3) if number else itertools.count()
    if number:
        stop_at(number)
    anyio.run(live, Path(folder), queue_cycle.say_on(sys.stdout.fileno()), numbers)


if __name__ == "__main__":
    main(*sys.argv[1:])
