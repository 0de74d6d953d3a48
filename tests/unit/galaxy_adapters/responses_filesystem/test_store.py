"""Response files: whole or absent, first come first served, never out of their folder."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from galaxy_adapters.responses_filesystem import FilesystemResponseStore
from galaxy_core.domain.errors import (
    AlreadyAnswered,
    InvalidOrder,
    StorageUnavailable,
)
from galaxy_core.domain.ids import OrderId
from galaxy_core.testing.factories import make_response
from galaxy_core.wire.layout import Layout
from tests.unit.galaxy_adapters.dying import every_death

pytestmark = pytest.mark.anyio


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Give a machine that has answered nothing."""
    return Layout(tmp_path / "machine")


@pytest.fixture
def store(layout: Layout) -> FilesystemResponseStore:
    """Give its responses."""
    return FilesystemResponseStore(layout)


async def test_one_of_many_wins(store: FilesystemResponseStore, layout: Layout) -> None:
    """Of workers that answer at once exactly one does, and its answer is the one that stays."""
    winners: list[str] = []

    async def answer(text: str) -> None:
        try:
            await FilesystemResponseStore(layout).commit(make_response(order_id="a", text=text))
            winners.append(text)
        except AlreadyAnswered:
            pass

    async with anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(answer, str(number), name="worker")
    found = await store.get(OrderId("a"))
    assert found is not None
    assert [found.text] == winners
    assert len(list(layout.notepads.glob("*.md"))) == 1


async def test_answer_met_is_made_durable(
    store: FilesystemResponseStore, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who hears that an order is answered can rely on it, even if the writer died unsynced."""
    await store.commit(make_response(order_id="a"))
    synced: list[Path] = []
    monkeypatch.setattr("galaxy_adapters.responses_filesystem.store.sync_directory", synced.append)
    with pytest.raises(AlreadyAnswered, match="Order a is answered"):
        await store.commit(make_response(order_id="a"))
    assert synced == [layout.notepads]


@pytest.mark.parametrize("order_id", ["../a", "a/b", "a\nb", "x" * 300, ".."])
async def test_name_from_outside_stays_inside(
    store: FilesystemResponseStore, tmp_path: Path, order_id: str
) -> None:
    """An id that is no file name is neither written nor looked for."""
    with pytest.raises(InvalidOrder, match="cannot be a file's name"):
        await store.commit(make_response(order_id=order_id))
    assert await store.get(OrderId(order_id)) is None
    assert not await store.exists(OrderId(order_id))
    assert not list(tmp_path.rglob("*.md"))


async def test_full_disk(
    store: FilesystemResponseStore, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without space nothing is stored and nothing is left over; later it works."""

    def no_space(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("os.write", no_space)
        with pytest.raises(StorageUnavailable, match="no space is left"):
            await store.commit(make_response(order_id="a"))
    assert not await store.exists(OrderId("a"))
    assert not [path for path in layout.notepads.rglob("*") if path.is_file()]
    await store.commit(make_response(order_id="a"))
    assert await store.exists(OrderId("a"))


async def test_dead_writer_leaves_all_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before any step of a commit: the response is whole or absent, and can be given."""
    response = make_response(order_id="a", text="hello")
    layouts: dict[int, Layout] = {}

    def prepare(number: int) -> Callable[[], object]:
        layouts[number] = Layout(tmp_path / str(number))
        store = FilesystemResponseStore(layouts[number])
        return lambda: store._commit(response)

    for number, is_alive in every_death(monkeypatch, prepare):
        after = FilesystemResponseStore(layouts[number])
        found = await after.get(OrderId("a"))
        assert found in (None, response)
        assert found == response or not is_alive
        if found is None:
            await after.commit(response)
        assert await after.get(OrderId("a")) == response


async def test_strange_things_under_the_name(
    store: FilesystemResponseStore, layout: Layout, tmp_path: Path
) -> None:
    """A folder, a link, any bytes: never replaced, not followed, and said to be there."""
    layout.response("a").mkdir(parents=True)
    secret = tmp_path / "secret"
    secret.write_text("secret")
    layout.response("b").symlink_to(secret)
    layout.response("c").write_bytes(b"\xff")
    for order_id in (OrderId("a"), OrderId("b"), OrderId("c")):
        assert await store.exists(order_id)
        with pytest.raises(AlreadyAnswered):
            await store.commit(make_response(order_id=order_id))
        found = await store.get(order_id)
        assert found is not None
        assert "cannot be read" in found.text
        assert "secret" not in found.text
    assert secret.read_text() == "secret"


async def test_response_of_another_hand(store: FilesystemResponseStore, layout: Layout) -> None:
    """A response that somebody wrote is read as a reply, finished when its file was written."""
    layout.notepads.mkdir(parents=True)
    layout.response("a").write_text("done")
    os.utime(layout.response("a"), (1770033600, 1770033600))
    found = await store.get(OrderId("a"))
    assert found is not None
    assert (found.text, found.finished_at.isoformat()) == ("done", "2026-02-02T12:00:00+00:00")
