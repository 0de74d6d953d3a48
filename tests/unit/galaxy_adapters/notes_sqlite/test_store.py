"""Writers of one process share syncs, readers do not wait, and the end is orderly."""

import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

import anyio
import pytest
from attrs import define, field

from galaxy_adapters.notes_sqlite import SqliteNoteStore, _rows
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.testing.clock import settle
from tests.unit.galaxy_adapters.notes_sqlite.helpers import Place, note

PROMPT = 10


@define(eq=False)
class Gate:
    """Holds whoever adds notes, in its thread and inside its transaction, and counts."""

    may_go_on: threading.Event = field(factory=threading.Event)
    has_begun: threading.Event = field(factory=threading.Event)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """An open gate."""
    gate = Gate()
    gate.may_go_on.set()
    real = _rows.add

    def add(connection: sqlite3.Connection, rows: list[_rows.Row]) -> frozenset[str]:
        gate.has_begun.set()
        assert gate.may_go_on.wait(PROMPT)
        return real(connection, rows)

    monkeypatch.setattr(_rows, "add", add)
    yield gate
    gate.may_go_on.set()


@contextmanager
def statements_of(store: SqliteNoteStore) -> Iterator[list[str]]:
    """What the writing connection is told."""
    heard: list[str] = []
    assert store._database._writer is not None
    connection = store._database._writer[1]
    connection.set_trace_callback(heard.append)
    yield heard
    connection.set_trace_callback(None)


async def test_one_alone_costs_one_commit_and_many_cost_two(place: Place) -> None:
    """Thirty-two callers at once share two transactions: the first one's, and everybody else's."""
    async with place.opened() as store:
        await store.add([note("first")])
        with statements_of(store) as heard:
            await store.add([note("alone")])
        assert heard.count("COMMIT") == 1
        with statements_of(store) as heard:
            async with anyio.create_task_group() as group:
                for number in range(32):
                    group.start_soon(store.add, [note(str(number))], name="add")
        assert heard.count("COMMIT") == 2
    assert len(await place.keys()) == 34


async def test_every_commit_is_synced(place: Place) -> None:
    """Each connection syncs the log at each commit, and the log is a write-ahead one."""
    async with place.opened() as store:
        await store.add([note("a")])
        await store.get("ask", "a")
        database = store._database
        assert database._writer is not None
        for connection in (database._writer[1], database._readers._idle[0][1]):
            assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_readers_do_not_wait_for_writers(place: Place, gate: Gate) -> None:
    """While a transaction hangs, what was there before it can be looked up."""
    async with place.opened() as store:
        await store.add([note("a")])
        gate.may_go_on.clear()
        async with anyio.create_task_group() as group:
            group.start_soon(store.add, [note("b")], name="add")
            with anyio.fail_after(PROMPT):
                assert await store.get("ask", "a") == note("a")
                assert await store.list("ask") == [note("a")]
            gate.may_go_on.set()
        assert await store.get("ask", "b") == note("b")


async def test_cancelled_caller_does_not_take_others_along(place: Place, gate: Gate) -> None:
    """Who writes for the others finishes; who only waits is left out; the rest are written."""
    async with place.opened() as store:
        gate.may_go_on.clear()
        scopes = [anyio.CancelScope() for _ in range(4)]

        async def add(number: int) -> None:
            with scopes[number]:
                await store.add([note(str(number))])

        async with anyio.create_task_group() as group:
            for number in range(4):
                group.start_soon(add, number, name="add")
                await settle()
            scopes[0].cancel()  # it is writing
            scopes[1].cancel()  # it waits, first in line
            await settle()
            gate.may_go_on.set()
    assert await place.keys() == ["0", "2", "3"]


async def test_big_call_is_refused_alone(place: Place, gate: Gate) -> None:
    """What does not fit on the disk does not take those along who share its transaction."""
    async with place.opened() as store:
        await store.add([note("first")])
        assert store._database._writer is not None
        store._database._writer[1].execute("PRAGMA max_page_count = 20")
        gate.may_go_on.clear()
        refused: list[str] = []

        async def add(key: str, size: int) -> None:
            try:
                await store.add([note(key, "x" * size)])
            except StorageUnavailable:
                refused.append(key)

        async with anyio.create_task_group() as group:
            for key, size in (("a", 1), ("b", 1), ("big", 1_000_000), ("c", 1)):
                group.start_soon(add, key, size, name="add")
                await settle()
            gate.may_go_on.set()
    assert refused == ["big"]
    assert await place.keys() == ["first", "a", "b", "c"]


async def test_mistake_in_a_deed_lets_nobody_believe(
    place: Place, monkeypatch: pytest.MonkeyPatch, gate: Gate
) -> None:
    """An unforeseen error reaches its caller as it is, and those beside it as a refusal."""
    async with place.opened() as store:
        gate.may_go_on.clear()

        def break_down(connection: sqlite3.Connection, **_: object) -> int:
            raise ZeroDivisionError

        monkeypatch.setattr(_rows, "prune", break_down)
        outcomes: list[type[BaseException]] = []

        async def expect_failure(call: Callable[[], Awaitable[object]]) -> None:
            try:
                await call()
            except (ZeroDivisionError, StorageUnavailable) as error:
                outcomes.append(type(error))

        async with anyio.create_task_group() as group:
            group.start_soon(store.add, [note("a")], name="first")
            await settle()
            prune = partial(store.prune, "ask", place.clock.now())
            group.start_soon(expect_failure, prune, name="prune")
            group.start_soon(expect_failure, partial(store.put, [note("b")]), name="put")
            await settle()
            gate.may_go_on.set()
        assert outcomes == [ZeroDivisionError, StorageUnavailable]
        assert await store.add([note("c")]) == {"c"}
    assert await place.keys() == ["a", "c"]


async def test_closing_while_writers_wait(place: Place, gate: Gate) -> None:
    """What was handed in before the end is written; what comes later is refused with a sentence."""
    store = place.store()
    gate.may_go_on.clear()
    added: list[str] = []

    async def add(key: str) -> None:
        added.extend(await store.add([note(key)]))

    async with anyio.create_task_group() as group:
        for key in ("a", "b", "c"):
            group.start_soon(add, key, name="add")
        await settle()
        group.start_soon(store.aclose, name="close")
        await settle()
        assert added == []
        with pytest.raises(StorageUnavailable, match="this process has closed it"):
            await store.add([note("too late")])
        gate.may_go_on.set()
    assert sorted(added) == ["a", "b", "c"]
    for call in (store.add([note("d")]), store.get("ask", "a")):
        with pytest.raises(StorageUnavailable, match="this process has closed it"):
            await call
    await store.aclose()
    assert not place.beside("-wal").exists(), "the last one leaves a single file"
    assert await place.keys() == ["a", "b", "c"]


async def test_closing_under_cancellation(place: Place, gate: Gate) -> None:
    """A daemon that is cancelled leaves no connection open and no note half handed in."""
    with anyio.CancelScope() as scope:
        async with place.opened() as store:
            await store.add([note("a")])
            await store.get("ask", "a")
            scope.cancel()
            await anyio.sleep_forever()
    assert store._database._writer is None
    assert store._database._readers._idle == []
    assert await place.keys() == ["a"]


async def test_locked_by_another_process(place: Place) -> None:
    """Who finds the database locked for too long is told so; when it is free, it goes on."""
    async with place.store(busy_timeout=timedelta(milliseconds=50)) as store:
        await store.add([note("a")])
        other = sqlite3.connect(place.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailable, match="another process keeps it locked"):
            await store.add([note("b")])
        assert await store.get("ask", "a") == note("a")
        other.execute("ROLLBACK")
        other.close()
        assert await store.add([note("b")]) == {"b"}
