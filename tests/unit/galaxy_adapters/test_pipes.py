"""A named pipe that lies where a file should be is waited for by nobody."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import anyio
import pytest

from galaxy_adapters.audit_jsonl import (
    JsonlAuditSink,
    JsonlAuditTrail,
    OldAuditParts,
    verify_chain,
)
from galaxy_adapters.clock_system import SystemClock
from galaxy_adapters.folder_filesystem import FilesystemMachineFolder, append_to_health_log
from galaxy_adapters.old_filesystem import FilesystemOldFiles
from galaxy_adapters.old_filesystem.survey import schema_version, survey
from galaxy_adapters.outbox_filesystem import FilesystemOutbox
from galaxy_adapters.presence_json import JsonPresence
from galaxy_adapters.queue_filesystem import (
    FilesystemOrderCatalogue,
    FilesystemOrderQueue,
    undecided_dead_letters,
)
from galaxy_adapters.responses_filesystem import FilesystemResponseStore
from galaxy_adapters.sessions_json import JsonSessionStore
from galaxy_core.domain.audit import AuditQuery
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.ids import ConversationKey, OrderId
from galaxy_core.domain.state import FINAL, OrderState
from galaxy_core.domain.tidying import OldKind
from galaxy_core.testing.factories import make_event, make_order
from galaxy_core.testing.memory import MemoryControl, MemoryIncidentSink
from galaxy_core.wire.layout import Layout

LIMIT_SECONDS = 60.0
"""Nothing here takes a hundredth of that, unless it waits for the other end of a pipe."""
X = OrderId("x")
CLOCK = SystemClock()


async def begin(layout: Layout) -> None:
    """Take the queue up as Hermes does, and go through what waits."""
    queue = FilesystemOrderQueue(
        layout,
        machine="lab",
        clock=CLOCK,
        incidents=MemoryIncidentSink(),
        control=MemoryControl(CLOCK),
    )
    async with queue:
        assert await queue.claim() is None
        await queue.enqueue(make_order(id=X))
        delivery = await queue.claim()
        assert delivery is not None
        await queue.nack(delivery)


async def list_orders(layout: Layout) -> None:
    """List, count and open orders, as pages and commands do."""
    catalogue = FilesystemOrderCatalogue(
        layout, machine="lab", clock=CLOCK, control=MemoryControl(CLOCK)
    )
    assert await catalogue.list() == []
    assert await catalogue.list(states=frozenset({OrderState.SUCCEEDED})) == []
    await catalogue.count(states=FINAL)
    assert await catalogue.get(X) is None
    assert undecided_dead_letters(layout) == []


async def tidy(layout: Layout) -> None:
    """Look for what is old."""
    files = FilesystemOldFiles(layout)
    for kind in OldKind:
        async for found in files.find(kind, CLOCK.now()):
            assert not found
    await files.waiting()
    survey(layout)


async def read_letters(layout: Layout) -> None:
    """Look for letters, as the courier does."""
    box = FilesystemOutbox(layout, CLOCK, MemoryIncidentSink())
    try:
        assert await box.pending() == []
        await box.count()
    finally:
        box.close()


async def read_response(layout: Layout) -> None:
    """Ask for a response: whatever has its name is one."""
    found = await FilesystemResponseStore(layout).get(X)
    assert found is not None
    assert "pipe" in found.text


async def read_signs_of_life(layout: Layout) -> None:
    """Ask whether the daemons live."""
    for is_gateway in (False, True):
        assert await JsonPresence(layout, is_gateway=is_gateway).read() is None


async def read_sessions(layout: Layout) -> None:
    """Ask for a conversation's session."""
    store = JsonSessionStore(layout, CLOCK, MemoryIncidentSink(), ConversationKey("lab"))
    assert await store.get(ConversationKey("me")) is None


async def read_trail(layout: Layout) -> None:
    """Read the trail and write on: what cannot be done is said."""
    trail = JsonlAuditTrail(layout.audit_log)
    for look in (trail.read(AuditQuery()), trail.read_on(None), trail.verify()):
        with contextlib.suppress(StorageUnavailable):
            await look
    with contextlib.suppress(StorageUnavailable):
        await OldAuditParts(layout.audit_log).measure(CLOCK.now())
    sink = JsonlAuditSink(layout.audit_log)
    try:
        with pytest.raises(StorageUnavailable, match="no plain file"):
            await sink.record([make_event()])
    finally:
        await sink.close()


async def read_health_log(layout: Layout) -> None:
    """Read the health log and write on: what cannot be done is said."""
    with pytest.raises(StorageUnavailable, match="no plain file"):
        await FilesystemMachineFolder(layout).health_log(10)
    with pytest.raises(StorageUnavailable, match="no plain file"):
        append_to_health_log(layout.health_log, ["well"])


async def check_trail(layout: Layout) -> None:
    """Check a trail whose lock is a pipe: it is checked without."""
    layout.audit_log.touch()
    verify_chain(layout.audit_log)


async def look_at_old_index(layout: Layout) -> None:
    """Ask an SQLite file for its version."""
    assert schema_version(layout.trail_index) is None


LOCK = "galaxy-audit.jsonl.head"
FULL_PART = "galaxy-audit-20260101T000000Z-000000000007.jsonl"


def reason(layout: Layout) -> Path:
    """Where the reason of a file that was set aside stands."""
    (layout.corrupted / "x.json").touch()
    return layout.corrupted / "x.json.reason"


Use = Callable[[Layout], Awaitable[None]]
PLACES = [
    pytest.param(lambda at: at.orders / "p.json", begin, id="waiting, queue"),
    pytest.param(lambda at: at.orders / "x.json", list_orders, id="waiting, list"),
    pytest.param(lambda at: at.orders / "x.json", tidy, id="waiting, tidying"),
    pytest.param(lambda at: at.orders / "p.json.processing", begin, id="held, queue"),
    pytest.param(lambda at: at.archive / "p.json", begin, id="archive, queue"),
    pytest.param(lambda at: at.archive / "x.json", begin, id="archive, same id"),
    pytest.param(lambda at: at.archive / "x.json", list_orders, id="archive, list"),
    pytest.param(lambda at: at.archive / "x.json", tidy, id="archive, tidying"),
    pytest.param(reason, begin, id="aside, queue"),
    pytest.param(lambda at: at.corrupted / "p.json", tidy, id="aside, tidying"),
    pytest.param(lambda at: at.response(X), read_response, id="responses"),
    pytest.param(lambda at: at.response(X), tidy, id="responses, tidying"),
    pytest.param(lambda at: at.outbox / "x.json", read_letters, id="outbox"),
    pytest.param(lambda at: at.outbox / "x.json", tidy, id="outbox, tidying"),
    pytest.param(lambda at: at.outbox_archive / "x.json", tidy, id="sent"),
    pytest.param(lambda at: at.outbox_undeliverable / "x.json", tidy, id="undeliverable"),
    pytest.param(lambda at: at.heartbeat, read_signs_of_life, id="heartbeat"),
    pytest.param(lambda at: at.gateway_heartbeat, read_signs_of_life, id="gateway's heartbeat"),
    pytest.param(lambda at: at.sessions, read_sessions, id="sessions"),
    pytest.param(lambda at: at.audit_log, read_trail, id="trail"),
    pytest.param(lambda at: at.logs / LOCK, read_trail, id="trail's lock"),
    pytest.param(lambda at: at.logs / LOCK, check_trail, id="trail's lock, check"),
    pytest.param(lambda at: at.logs / FULL_PART, read_trail, id="full part"),
    pytest.param(lambda at: at.health_log, read_health_log, id="health log"),
    pytest.param(lambda at: at.trail_index, look_at_old_index, id="index"),
]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A machine's folder with a pair of its folders."""
    made = Layout(tmp_path)
    for folder in (made.orders, made.archive, made.corrupted, made.outbox, made.logs):
        folder.mkdir(parents=True)
    return made


@pytest.mark.parametrize("where, use", PLACES)
def test_a_pipe_is_waited_for_by_nobody(
    layout: Layout,
    where: Callable[[Layout], Path],
    use: Use,
) -> None:
    """Anybody who may write to a folder could stop a daemon with one `mkfifo` otherwise."""
    pipe = where(layout)
    pipe.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        used = pool.submit(anyio.run, use, layout)
        try:
            used.result(LIMIT_SECONDS)
        finally:
            while not used.done():  # be the other end, for as often as it waits for one
                with contextlib.suppress(OSError):
                    os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
                wait([used], 0.05)
