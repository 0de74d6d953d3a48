"""The contract of `NoteStore`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta, timezone
from functools import partial
from typing import ClassVar

import anyio
import pytest
from anyio.lowlevel import checkpoint

from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.order import JSONValue
from galaxy_core.ports.note_store import Note, NoteStore
from galaxy_core.testing.contracts.contract import NASTY_TEXTS, Contract, nasty_texts, requires
from galaxy_core.testing.contracts.harness import Harness, StoreFeatures

TWINS = (
    *("a", "A", "a ", " a", "a\0", "a\0b", "\0", "", "1", "01", "1.0", "%", "_", "*", "'", '"'),
    *("\u00e9", "e\u0301", "\u00df", "ss", "\U0001f680", "\ud83d\ude80", "\ud83d", "\ude80"),
)
"""Keys that are easily taken for one another."""


class NoteStoreHarness(Harness[NoteStore]):
    """An empty store, and a way to have it refuse everything for a while."""

    @abstractmethod
    def refusing(self) -> AbstractAsyncContextManager[None]:
        """Have the store refuse reads and writes as long as the block runs, in every process."""


def note(key: str, value: JSONValue = 1, *, kind: str = "ask") -> Note:
    """A note with one member."""
    return Note(kind=kind, key=key, value={"value": value})


async def keys_of(store: NoteStore, kind: str = "ask") -> list[str]:
    """Keys of the notes that are not closed, as they are listed."""
    return [each.key for each in await store.list(kind)]


class NoteStoreContract(Contract):
    """Everything that a `NoteStore` owes its callers."""

    features: ClassVar[StoreFeatures] = StoreFeatures()

    # ---- reading

    async def test_what_is_not_there_is_none(self, harness: NoteStoreHarness) -> None:
        """Asking for what never was is no error."""
        store = await harness.open()
        assert await store.get("ask", "a") is None
        assert list(await store.list("ask")) == []
        assert await store.prune("ask", harness.now()) == 0

    async def test_note_comes_back_as_it_went_in(self, harness: NoteStoreHarness) -> None:
        """A value is JSON of any shape, and an empty one is a value too."""
        store = await harness.open()
        value: dict[str, JSONValue] = {
            "nothing": None,
            "is": True,
            "numbers": [0, -1, 2**80, 0.1, 1e300, -0.0],
            "deep": {"": [[], {}, {"a": ["b"]}]},
        }
        notes = [Note(kind="ask", key="a", value=value), Note(kind="ask", key="b")]
        await store.add(notes)
        assert list(await store.list("ask")) == notes
        assert await store.get("ask", "a") == notes[0]
        found = await store.get("ask", "b")
        assert found == notes[1]
        assert found is not None

    async def test_members_keep_their_order(self, harness: NoteStoreHarness) -> None:
        """What a person reads out of a note stands as it was written."""
        store = await harness.open()
        await store.put([Note(kind="ask", key="a", value={"z": 1, "a": 2, "m": 3})])
        found = await store.get("ask", "a")
        assert found is not None
        assert list(found.value) == ["z", "a", "m"]

    async def test_list_is_in_order_of_arrival(self, harness: NoteStoreHarness) -> None:
        """What came first is served first, whatever its key sorts as."""
        store = await harness.open()
        await store.add([note("m"), note("z")])
        await store.put([note("a"), note("k")])
        await store.add([note("b")])
        assert await keys_of(store) == ["m", "z", "a", "k", "b"]

    async def test_kinds_do_not_mix(self, harness: NoteStoreHarness) -> None:
        """Each kind has keys of its own, in everything that is done."""
        store = await harness.open()
        await store.put([note("a", 1), note("a", 2, kind="pairing"), note("b", 3, kind="pairing")])
        assert await store.get("ask", "a") == note("a", 1)
        assert await store.get("pairing", "a") == note("a", 2, kind="pairing")
        assert await keys_of(store, "ask") == ["a"]
        assert await keys_of(store, "pairing") == ["a", "b"]
        await store.close("pairing", ["a"])
        assert await keys_of(store, "ask") == ["a"]
        assert await store.add([note("b", 4)]) == {"b"}
        await store.close("ask", ["a"])
        await harness.elapse(harness.tick)
        assert await store.prune("ask", harness.now()) == 1
        assert await store.add([note("a", kind="pairing")]) == frozenset(), "closed, not pruned"

    # ---- writing

    async def test_add_leaves_what_is_known(self, harness: NoteStoreHarness) -> None:
        """A repeat is told from a new one, and changes nothing."""
        store = await harness.open()
        assert await store.add([note("a", 1)]) == {"a"}
        assert await store.add([note("a", 2), note("b", 3)]) == {"b"}
        assert list(await store.list("ask")) == [note("a", 1), note("b", 3)]

    async def test_add_of_a_closed_key_is_a_repeat(self, harness: NoteStoreHarness) -> None:
        """What is over is not begun again because somebody sent it twice."""
        store = await harness.open()
        await store.add([note("a", 1)])
        await store.close("ask", ["a"])
        assert await store.add([note("a", 2)]) == frozenset()
        assert await store.get("ask", "a") is None
        assert await keys_of(store) == []

    async def test_add_of_a_key_twice_in_one_call(self, harness: NoteStoreHarness) -> None:
        """The first of them counts, as if they had come one after the other."""
        store = await harness.open()
        assert await store.add([note("a", 1), note("a", 2)]) == {"a"}
        assert await store.get("ask", "a") == note("a", 1)

    async def test_put_replaces_and_keeps_the_place(self, harness: NoteStoreHarness) -> None:
        """A note that is written anew does not lose its turn; the last word counts."""
        store = await harness.open()
        await store.add([note("a", 1), note("b", 2), note("c", 3)])
        await store.put([note("b", 4), note("a", 5), note("b", 6)])
        assert list(await store.list("ask")) == [note("a", 5), note("b", 6), note("c", 3)]

    async def test_put_reopens_a_closed_key(self, harness: NoteStoreHarness) -> None:
        """A closed matter can be taken up again: in its old place, with the new value."""
        store = await harness.open()
        await store.add([note("a", 1), note("b", 2)])
        await store.close("ask", ["a"])
        await store.put([note("a", 3)])
        assert await store.get("ask", "a") == note("a", 3)
        assert await keys_of(store) == ["a", "b"]
        await harness.elapse(harness.tick)
        assert await store.prune("ask", harness.now()) == 0, "it is open"

    async def test_writing_nothing_is_fine(self, harness: NoteStoreHarness) -> None:
        """An empty list is no special case for callers."""
        store = await harness.open()
        assert await store.add([]) == frozenset()
        await store.put([])
        await store.close("ask", [])
        assert await keys_of(store) == []

    async def test_new_keys_of_several_kinds(self, harness: NoteStoreHarness) -> None:
        """One call may write notes of several kinds."""
        store = await harness.open()
        await store.add([note("a")])
        new = await store.add([note("a"), note("b", kind="pairing"), note("c")])
        assert new == {"b", "c"}
        assert await keys_of(store, "pairing") == ["b"]

    async def test_values_are_copies(self, harness: NoteStoreHarness) -> None:
        """What callers do with a value afterwards does not change the note."""
        store = await harness.open()
        inner: list[JSONValue] = [1]
        value: dict[str, JSONValue] = {"inner": inner}
        await store.put([Note(kind="ask", key="a", value=value)])
        inner.append(2)
        value["more"] = 3
        found = await store.get("ask", "a")
        assert found is not None
        assert found.value == {"inner": [1]}
        assert isinstance(found.value["inner"], list)
        found.value["inner"].append(4)
        assert await store.get("ask", "a") == Note(kind="ask", key="a", value={"inner": [1]})

    # ---- closing and pruning

    async def test_closed_is_forgotten_but_known(self, harness: NoteStoreHarness) -> None:
        """The value is gone, the key is remembered; others stay."""
        store = await harness.open()
        await store.add([note("a"), note("b"), note("c")])
        await store.close("ask", ["a", "c"])
        assert await store.get("ask", "a") is None
        assert await keys_of(store) == ["b"]
        assert await store.add([note("a"), note("c")]) == frozenset()

    async def test_closing_twice_is_closing_once(self, harness: NoteStoreHarness) -> None:
        """A repeat neither fails nor moves the time of closing."""
        store = await harness.open()
        await store.add([note("a")])
        await store.close("ask", ["a", "a"])
        await harness.elapse(harness.tick)
        between = harness.now()
        await harness.elapse(harness.tick)
        await store.close("ask", ["a"])
        assert await store.prune("ask", between) == 1

    async def test_closing_what_never_was_is_remembered(self, harness: NoteStoreHarness) -> None:
        """A matter may be over before anybody heard of its beginning."""
        store = await harness.open()
        await store.close("ask", ["a"])
        assert await store.get("ask", "a") is None
        assert await store.add([note("a")]) == frozenset()
        await harness.elapse(harness.tick)
        assert await store.prune("ask", harness.now()) == 1

    async def test_pruned_by_the_time_of_closing(self, harness: NoteStoreHarness) -> None:
        """Neither when a note was written nor when it was reopened counts, only its last end."""
        store = await harness.open()
        await store.add([note("early"), note("late"), note("again"), note("open")])
        await store.close("ask", ["early", "again"])
        await harness.elapse(harness.tick)
        between = harness.now()
        await store.put([note("again")])
        await harness.elapse(harness.tick)
        await store.close("ask", ["late", "again"])
        assert await store.prune("ask", between) == 1
        assert await store.prune("ask", between) == 0
        assert await store.add([note("early"), note("late"), note("again")]) == {"early"}
        assert await keys_of(store) == ["open", "early"], "as new, it comes last"

    async def test_prune_leaves_what_closed_at_that_moment(self, harness: NoteStoreHarness) -> None:
        """Before then means before, in whatever zone the time is given."""
        store = await harness.open()
        then = harness.now()
        await store.close("ask", ["a"])
        assert await store.prune("ask", then) == 0
        elsewhere = (then + harness.tick).astimezone(timezone(timedelta(hours=-11)))
        await harness.elapse(harness.tick * 2)
        assert await store.prune("ask", elsewhere) == 1

    # ---- other people's texts

    @nasty_texts
    async def test_nasty_texts_come_back(self, harness: NoteStoreHarness, text: str) -> None:
        """Keys, kinds, members and values are other people's text: NULs, half characters, all."""
        store = await harness.open()
        nasty = Note(kind="ask", key=text, value={text: [text, {"x": text}]})
        assert await store.add([nasty]) == {text}
        assert await store.add([nasty]) == frozenset()
        assert await store.get("ask", text) == nasty
        assert list(await store.list("ask")) == [nasty]
        await store.put([Note(kind=text, key="a", value={"in": text})])
        assert await keys_of(store, text) == ["a"]
        await store.close("ask", [text])
        assert await store.get("ask", text) is None
        assert await store.add([nasty]) == frozenset()

    async def test_similar_keys_are_different(self, harness: NoteStoreHarness) -> None:
        """Nothing is trimmed, folded, normalised or cut off at a NUL."""
        store = await harness.open()
        notes = [note(key, number) for number, key in enumerate(TWINS)]
        assert await store.add(notes) == set(TWINS)
        assert list(await store.list("ask")) == notes
        for each in notes:
            assert await store.get("ask", each.key) == each

    async def test_big_values_come_back(self, harness: NoteStoreHarness) -> None:
        """Megabytes are no reason to refuse, several in one call neither."""
        store = await harness.open()
        big = NASTY_TEXTS["megabyte"]
        notes = [note(str(number), f"{number}{big}") for number in range(4)]
        await store.add(notes)
        assert list(await store.list("ask")) == notes

    # ---- all or nothing

    @pytest.mark.parametrize("method", ["add", "put"])
    async def test_what_cannot_be_written_takes_the_rest_along(
        self, harness: NoteStoreHarness, method: str
    ) -> None:
        """A value that is no JSON is the caller's mistake, and leaves nothing of its call."""
        store = await harness.open()
        bad = Note(kind="ask", key="bad", value={"x": object()})  # type: ignore[dict-item]
        write = store.add if method == "add" else store.put
        with pytest.raises(TypeError):
            await write([note("a"), bad, note("b")])
        assert await keys_of(store) == []
        await write([note("b")])
        assert await keys_of(store) == ["b"]

    async def test_refusing_store_says_so_and_has_done_nothing(
        self, harness: NoteStoreHarness
    ) -> None:
        """Every method raises `StorageUnavailable`; afterwards all is as it was, and goes on."""
        store = await harness.open()
        await store.add([note("a", 1), note("b", 2)])
        async with harness.refusing():
            calls: tuple[Callable[[], Awaitable[object]], ...] = (
                partial(store.get, "ask", "a"),
                partial(store.list, "ask"),
                partial(store.add, [note("c")]),
                partial(store.put, [note("a", 3)]),
                partial(store.close, "ask", ["a"]),
                partial(store.prune, "ask", harness.now()),
                partial(store.closed, "ask"),
            )
            for call in calls:
                with pytest.raises(StorageUnavailable):
                    await call()
        assert list(await store.list("ask")) == [note("a", 1), note("b", 2)]
        assert await store.add([note("c", 4)]) == {"c"}
        assert await keys_of(store) == ["a", "b", "c"]

    # ---- closed keys

    async def test_closed_keys_are_listed_in_order(self, harness: NoteStoreHarness) -> None:
        """Whoever checks what was dealt with hears every closed key once, piece by piece."""
        store = await harness.open()
        assert list(await store.closed("ask")) == []
        await store.add([note("a"), note("b"), note("open")])
        await store.close("ask", ["b", "never was"])
        await store.close("other kind", ["x"])
        await harness.elapse(harness.tick)
        await store.close("ask", ["a", "b"])
        first = await store.closed("ask", limit=2)
        assert [each.key for each in first] == ["b", "never was"]
        rest = await store.closed("ask", after=first[-1], limit=2)
        assert [each.key for each in rest] == ["a"]
        assert rest[0].at > first[-1].at
        assert list(await store.closed("ask", after=rest[-1])) == []
        await store.put([note("b", 1)])
        await store.prune("ask", rest[0].at)
        assert [each.key for each in await store.closed("ask")] == ["a"]

    # ---- several at once

    async def test_new_to_exactly_one_of_several(self, harness: NoteStoreHarness) -> None:
        """Of all who add the same key at once, one is told that it was new."""
        stores = await self._stores(harness)
        told: list[str] = []

        async def add(store: NoteStore, value: int) -> None:
            told.extend(await store.add([note(key, value) for key in ("a", "b", "c")]))

        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(add, stores[number % len(stores)], number, name="add")
        assert sorted(told) == ["a", "b", "c"]
        found = await stores[0].list("ask")
        assert len(found) == 3
        assert len({str(each.value) for each in found}) == 1, "each call is written as a whole"

    async def test_concurrent_writers_lose_nothing(self, harness: NoteStoreHarness) -> None:
        """What many tasks and processes write at the same moment is all there."""
        stores = await self._stores(harness)

        async def write(store: NoteStore, number: int) -> None:
            await store.add([note(f"{number}-a"), note(f"{number}-b")])
            await store.put([note(f"{number}-a", number)])
            await store.close("ask", [f"{number}-b"])

        async with anyio.create_task_group() as group:
            for number in range(16):
                group.start_soon(write, stores[number % len(stores)], number, name="write")
        for store in stores:
            found = {each.key: each for each in await store.list("ask")}
            assert found == {f"{n}-a": note(f"{n}-a", n) for n in range(16)}
            assert await store.add([note(f"{n}-b") for n in range(16)]) == frozenset()

    async def test_cancelled_writer_leaves_whole_calls(self, harness: NoteStoreHarness) -> None:
        """Who is cancelled has written all or nothing, and the others have written theirs."""
        store = await harness.open()
        scopes = [anyio.CancelScope() for _ in range(8)]

        async def write(number: int) -> None:
            with scopes[number]:
                await store.add([note(f"{number}-a"), note(f"{number}-b")])

        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(write, number, name="write")
            await checkpoint()
            for scope in scopes[::2]:
                scope.cancel()
        found = set(await keys_of(store))
        assert {f"{n}-{part}" for n in range(1, 8, 2) for part in "ab"} <= found
        for number in range(0, 8, 2):
            assert (f"{number}-a" in found) == (f"{number}-b" in found)

    @requires("has_several_processes")
    async def test_other_processes_see_it_at_once(self, harness: NoteStoreHarness) -> None:
        """What one process wrote, closed or pruned is so for all others when it returned."""
        one, other = await harness.open(), await harness.open()
        await one.add([note("a", 1)])
        assert await other.get("ask", "a") == note("a", 1)
        await other.put([note("a", 2), note("b", 3)])
        assert list(await one.list("ask")) == [note("a", 2), note("b", 3)]
        await one.close("ask", ["a"])
        assert await other.get("ask", "a") is None
        await harness.elapse(harness.tick)
        assert await other.prune("ask", harness.now()) == 1
        assert await one.add([note("a", 4)]) == {"a"}

    @requires("survives_restart")
    async def test_all_of_it_survives_a_restart(self, harness: NoteStoreHarness) -> None:
        """Notes, their order, closed keys and the time of closing outlive every process."""
        store = await harness.open()
        await store.add([note("z", 1), note("closed"), note("a", NASTY_TEXTS["megabyte"])])
        await store.close("ask", ["closed", "never was"])
        before = list(await store.list("ask"))
        await harness.elapse(harness.tick)
        later = harness.now()
        await harness.restart()
        store = await harness.open()
        assert list(await store.list("ask")) == before
        assert await store.add([note("closed"), note("never was"), note("b")]) == {"b"}
        assert await keys_of(store) == ["z", "a", "b"]
        assert await store.prune("ask", later) == 2

    async def _stores(self, harness: NoteStoreHarness) -> Sequence[NoteStore]:
        stores = [await harness.open()]
        if self.features.has_several_processes:
            stores.append(await harness.open())
        return stores
