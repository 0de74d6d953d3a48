"""What people and programs drop into the orders' folder, and what becomes of it."""

import errno
import json
import os
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from galaxy_adapters._files import FolderWatch
from galaxy_adapters.queue_filesystem import FilesystemOrderQueue
from galaxy_core.domain.delivery import Delivery
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.state import OrderState
from galaxy_core.testing.factories import make_ending, make_order
from tests.contract.files_queue import FilesQueueHarness, files_queue

SETTLED = timedelta(seconds=4)
GUIDE = {
    "type": "galaxy_order",
    "from": "test",
    "target": "test",
    "command": "general",
    "payload": "Test: Echo hello world",
    "timestamp": "2026-02-02T12:00:00+00:00",
    "acknowledged": False,
}


class Desk:
    """One worker, its folder, and what a person does to it."""

    def __init__(self, harness: FilesQueueHarness, queue: FilesystemOrderQueue) -> None:
        self.harness = harness
        self.queue = queue
        self.orders = harness.layout.orders
        self.corrupted = harness.layout.corrupted
        self.archive = harness.layout.archive

    def drop(self, name: str, content: object, *, at: int | None = None) -> Path:
        """Drop a file in, complete; `at` is its time of change in seconds."""
        path = self.orders / name
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        if at is not None:
            os.utime(path, (at, at))
        return path

    async def next(self) -> Delivery:
        """Claim what must come."""
        with anyio.fail_after(10):
            while (delivery := await self.queue.claim()) is None:
                await self.queue.wait(timedelta(hours=1))
        return delivery

    async def done(self) -> Delivery:
        """Claim what must come, and end it."""
        delivery = await self.next()
        await self.queue.ack(delivery, make_ending())
        return delivery

    async def reason(self, name: str) -> str:
        """Wait until a file was set aside, and say why."""
        place = self.corrupted / name
        with anyio.fail_after(10):
            while not (os.path.lexists(place) and any(self.told(name))):
                await self.harness.elapse(SETTLED)
                await anyio.sleep(0.005)
        return (self.corrupted / f"{name}.reason").read_text("utf-8").strip()

    def told(self, name: str) -> list[str]:
        """Kinds of the incidents about a file."""
        return [i.kind for i in self.harness.incidents.incidents if i.key == f"aside:{name}"]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """Give a worker on an empty folder and a manual clock."""
    async with files_queue(tmp_path) as harness:
        yield Desk(harness, await harness.open())


async def test_guides_order_is_taken(desk: Desk) -> None:
    """The order that the guide has people `cat` into the folder is one."""
    desk.drop("test.json", GUIDE)
    delivery = await desk.done()
    assert (delivery.order.id, delivery.order.payload) == ("test", "Test: Echo hello world")
    archived = json.loads((desk.archive / "test.json").read_bytes())
    assert archived.items() >= {**GUIDE, "acknowledged": True}.items()
    assert archived["outcome"] == "succeeded"
    assert list(desk.orders.iterdir()) == []


async def test_any_name_will_do(desk: Desk) -> None:
    """A name is a name: spaces, accents, line breaks, very long ones, bytes that are no text."""
    names = [
        "my order.json",
        "déjà vu.json",
        "a\nb.json",
        "x" * 240 + ".json",
        "semi;rm -rf ~.json",
    ]
    for number, name in enumerate(names):
        desk.drop(name, {"payload": f"{number}"}, at=1_000 + number)
    odd = os.fsdecode(b"\xff\xfe.json")
    desk.drop("odd.json", {"payload": "bytes"}, at=2_000).rename(desk.orders / odd)
    got = [(await desk.done()).order.payload for _ in range(6)]
    assert sorted(got) == ["0", "1", "2", "3", "4", "bytes"]
    assert len(list(desk.archive.iterdir())) == 6


async def test_hidden_and_other_files_are_left_alone(desk: Desk) -> None:
    """Editors' and rsync's half-made files, and what is no order, stay as they are."""
    others = [".order.json.swp", ".rsync.json", "notes.txt", "order.json~", "order.json.tmp"]
    for name in others:
        desk.drop(name, b"{")
    desk.drop("real.json", GUIDE)
    await desk.done()
    await desk.harness.elapse(SETTLED)
    assert sorted(path.name for path in desk.orders.iterdir()) == sorted(others)


async def test_half_written_file_is_waited_for(desk: Desk) -> None:
    """`cat > order.json` takes as long as it takes; nothing is condemned meanwhile."""
    text = json.dumps(GUIDE).encode()
    with (desk.orders / "slow.json").open("wb", buffering=0) as file:
        for begin in range(0, len(text), 40):
            file.write(text[begin : begin + 40])
            assert await desk.queue.claim() is None
            await desk.harness.elapse(SETTLED)
            await anyio.sleep(0.005)
    assert (await desk.done()).order.id == "slow"
    assert list(desk.corrupted.iterdir()) == []


async def test_file_that_stays_broken_is_set_aside(desk: Desk) -> None:
    """Not deleted, not tried again, and a person hears of it."""
    desk.drop("broken.json", b'{"payload": "never fin')
    assert await desk.queue.claim() is None
    assert "not JSON" in await desk.reason("broken.json")
    assert (desk.corrupted / "broken.json").read_bytes() == b'{"payload": "never fin'
    incident = next(i for i in desk.harness.incidents.incidents if i.key == "aside:broken.json")
    assert incident.is_for_people
    assert incident.kind == "order_quarantined"
    assert "never fin" not in incident.message


async def test_second_broken_file_of_a_name_overwrites_nothing(desk: Desk) -> None:
    """Everything that was set aside is still there."""
    desk.drop("broken.json", b"first")
    await desk.reason("broken.json")
    desk.drop("broken.json", b"second")
    await desk.reason("broken-2.json")
    assert (desk.corrupted / "broken.json").read_bytes() == b"first"
    assert (desk.corrupted / "broken-2.json").read_bytes() == b"second"


@pytest.mark.parametrize("content", [b"", b"[1]", b'"x"', b"null", b"\xff\xfe\x00", b"{} trailing"])
async def test_what_is_no_object_is_set_aside(desk: Desk, content: bytes) -> None:
    """Only one JSON object is an order."""
    desk.drop("odd.json", content)
    assert await desk.reason("odd.json")


async def test_wrong_types_are_an_order_to_be_refused(desk: Desk) -> None:
    """What can be read gets an answer: it is given out, with what is wrong with it."""
    desk.drop("types.json", {"payload": 7, "priority": ["high"], "media": "x", "order_id": "../up"})
    delivery = await desk.next()
    assert delivery.order.refusals
    assert "/" not in delivery.order.id


async def test_link_is_not_followed(desk: Desk, tmp_path: Path) -> None:
    """A symbolic link out of the folder is moved aside as the link that it is."""
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps(GUIDE), "utf-8")
    (desk.orders / "link.json").symlink_to(secret)
    assert "symbolic link" in await desk.reason("link.json")
    assert (desk.corrupted / "link.json").is_symlink()
    assert json.loads(secret.read_bytes()) == GUIDE


async def test_folder_named_like_an_order_is_set_aside(desk: Desk) -> None:
    """With everything in it."""
    (desk.orders / "folder.json").mkdir()
    (desk.orders / "folder.json" / "inside").write_text("kept", "utf-8")
    assert "a folder" in await desk.reason("folder.json")
    assert (desk.corrupted / "folder.json" / "inside").read_text("utf-8") == "kept"


async def test_named_pipe_does_not_hang_the_worker(desk: Desk) -> None:
    """Opening one for reading would wait for a writer for ever."""
    os.mkfifo(desk.orders / "pipe.json")
    assert "named pipe" in await desk.reason("pipe.json")
    desk.drop("after.json", GUIDE)
    await desk.done()


async def test_huge_file_is_set_aside_unread(desk: Desk) -> None:
    """A file of 200 MB costs no memory and keeps nobody waiting."""
    with (desk.orders / "huge.json").open("wb") as file:
        file.truncate(200 << 20)
    assert "209,715,200 bytes" in await desk.reason("huge.json")


async def test_unreadable_file_is_set_aside(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of somebody else's that may not be read is a person's business."""
    really_open = os.open

    def refuse(path: str, flags: int, mode: int = 0o777) -> int:
        # Tests may run as root, who may read everything.
        if str(path).endswith("private.json") and flags & os.O_ACCMODE == os.O_RDONLY:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return really_open(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)
    desk.drop("private.json", GUIDE)
    assert "Permission" in await desk.reason("private.json")


async def test_same_name_again_is_a_new_order(desk: Desk) -> None:
    """A person who drops test.json a second time wants it done a second time."""
    desk.drop("test.json", GUIDE, at=1_000)
    first = await desk.done()
    desk.drop("test.json", GUIDE, at=2_000)
    second = await desk.done()
    desk.drop("test.json", {**GUIDE, "payload": "something else"}, at=2_000)
    third = await desk.done()
    assert [d.order.id for d in (first, second, third)] == ["test", "test-2", "test-3"]


async def test_same_order_id_with_same_content_is_not_run_again(desk: Desk) -> None:
    """An explicit id says which order it is: a second copy is kept aside, and told."""
    order = {**GUIDE, "order_id": "deploy-7"}
    desk.drop("a.json", order, at=1_000)
    await desk.done()
    desk.drop("b.json", order, at=2_000)
    assert await desk.queue.claim() is None
    assert "same order as deploy-7" in await desk.reason("b.json")
    assert desk.told("b.json") == ["order_duplicate"]


async def test_two_waiting_copies_of_an_order_run_once(desk: Desk) -> None:
    """The same, while the first one still waits."""
    order = {**GUIDE, "order_id": "deploy-7"}
    desk.drop("a.json", order, at=1_000)
    desk.drop("b.json", order, at=2_000)
    assert (await desk.done()).order.id == "deploy-7"
    assert await desk.queue.claim() is None
    await desk.reason("b.json")


async def test_reused_order_id_with_other_content_is_numbered(desk: Desk) -> None:
    """The original gateway gave every plain message of a chat the same id."""
    for number in range(3):
        content = {**GUIDE, "order_id": "chat-1", "payload": f"message {number}"}
        desk.drop(f"m{number}.json", content, at=1_000 + number)
    got = [await desk.done() for _ in range(3)]
    assert [(d.order.id, d.order.payload[-1]) for d in got] == [
        ("chat-1", "0"),
        ("chat-1-2", "1"),
        ("chat-1-3", "2"),
    ]
    # Also when everything was started anew in between.
    await desk.harness.restart()
    desk.queue = await desk.harness.open("again")
    desk.drop("m3.json", {**GUIDE, "order_id": "chat-1", "payload": "message 3"}, at=1_003)
    assert (await desk.done()).order.id == "chat-1-4"


async def test_number_is_the_same_after_a_crash(desk: Desk) -> None:
    """An order that was numbered runs on under its number: its journal has that name."""
    desk.drop("a.json", {**GUIDE, "order_id": "x", "payload": "one"}, at=1_000)
    desk.drop("b.json", {**GUIDE, "order_id": "x", "payload": "two", "session": "s"}, at=2_000)
    first, second = await desk.next(), await desk.next()
    assert (first.order.id, second.order.id) == ("x", "x-2")
    await desk.queue.ack(first, make_ending())
    await desk.harness.kill(desk.queue)
    desk.queue = await desk.harness.open("again")
    again = await desk.next()
    assert (again.order.id, again.order.payload, again.attempt) == ("x-2", "two", 2)


async def test_id_of_a_removed_order_is_free_again(desk: Desk) -> None:
    """A person takes an order away that was tried before, and drops a better one of that name."""
    desk.drop("a.json", {"payload": "one"})
    await desk.queue.nack(await desk.next(), delay=timedelta(hours=1))
    (desk.orders / "a.json").unlink()
    await desk.harness.restart()
    desk.queue = await desk.harness.open("again")
    desk.drop("a.json", {"payload": "two"})
    assert (await desk.done()).order.id == "a"


async def test_response_of_an_older_order_keeps_its_id(desk: Desk) -> None:
    """A response that no journal accounts for is not this order's answer."""
    layout = desk.harness.layout
    layout.response("old").write_text("an older answer", "utf-8")
    desk.drop("old.json", GUIDE)
    assert (await desk.done()).order.id == "old-2"


async def test_interrupted_orders_response_is_its_own(desk: Desk) -> None:
    """With its journal there, a response is the order's own: its id stays."""
    layout = desk.harness.layout
    layout.response("mine").write_text("the answer", "utf-8")
    layout.run_journal("mine").parent.mkdir(parents=True)
    layout.run_journal("mine").write_text("{}", "utf-8")
    desk.drop("mine.json", GUIDE)
    assert (await desk.done()).order.id == "mine"


async def test_held_order_of_the_original_system_is_taken_up(desk: Desk) -> None:
    """`<name>.json.processing` that nobody holds is an order that somebody left."""
    await desk.harness.restart()
    desk.drop("left.json.processing", GUIDE)
    desk.queue = await desk.harness.open("again")
    delivery = await desk.done()
    assert (delivery.order.id, delivery.attempt) == ("left", 2)
    assert list(desk.orders.iterdir()) == []


async def test_file_dropped_beside_a_held_one_is_not_overwritten(desk: Desk) -> None:
    """An order given back finds its name taken: both are there, under their own ids."""
    desk.drop("same.json", {"payload": "old", "session": "s"}, at=1_000)
    held = await desk.next()
    desk.drop("same.json", {"payload": "new", "session": "t"}, at=2_000)
    await desk.queue.nack(held)
    got = {d.order.payload: d.order.id for d in (await desk.done(), await desk.done())}
    assert got == {"old": "same", "new": "same-2"}


async def test_waiting_file_may_be_changed(desk: Desk) -> None:
    """What counts is what stands in the file when it is claimed."""
    desk.drop("a.json", {"payload": "first draft"})
    await desk.queue.wait(timedelta(0))
    desk.drop("a.json", {"payload": "second draft", "session": "elsewhere"})
    assert (await desk.next()).order.payload == "second draft"


async def test_waiting_file_may_be_removed(desk: Desk) -> None:
    """An order that a person took away is not given out."""
    path = desk.drop("a.json", GUIDE)
    assert await desk.queue.wait(timedelta(0))
    path.unlink()
    assert await desk.queue.claim() is None


async def test_folder_copied_back_from_a_backup_runs_nothing_twice(desk: Desk) -> None:
    """A backup knows no hard links: a held order's two names come back as two files."""
    desk.drop("a.json", GUIDE, at=1_000)
    await desk.next()
    await desk.harness.restart()
    layout = desk.harness.layout
    shutil.copytree(layout.notepads, layout.repo_path / "backup", symlinks=True)
    shutil.rmtree(layout.notepads)
    (layout.repo_path / "backup").rename(layout.notepads)
    desk.queue = await desk.harness.open("again")
    assert (await desk.done()).order.id == "a"
    assert await desk.queue.claim() is None
    assert list(desk.orders.iterdir()) == []


async def test_state_may_be_cleared_away(desk: Desk) -> None:
    """Our own state is ours to lose: a held order is still there under its second name."""
    desk.drop("a.json", GUIDE, at=1_000)
    desk.drop("b.json", {**GUIDE, "session": "s"}, at=1_001)
    await desk.next()
    await desk.harness.restart()
    shutil.rmtree(desk.harness.layout.state)
    desk.queue = await desk.harness.open("again")
    assert {(await desk.done()).order.id, (await desk.done()).order.id} == {"a", "b"}
    assert await desk.queue.claim() is None


async def test_file_of_the_archive_brought_back_as_it_was_is_dropped(desk: Desk) -> None:
    """A power cut may undo the removal of an order that has ended: the archive knows it."""
    await desk.queue.enqueue(make_order(id="a"))
    before = (desk.orders / "a.json").read_bytes()
    changed = (desk.orders / "a.json").stat().st_mtime_ns
    await desk.done()
    path = desk.drop("a.json", before)
    os.utime(path, ns=(changed, changed))
    assert await desk.queue.claim() is None
    assert list(desk.orders.iterdir()) == []
    view = await (await desk.harness.catalogue()).get(OrderId("a"))
    assert view is not None
    assert view.state is OrderState.SUCCEEDED


async def test_what_was_set_aside_lately_is_told_again_at_start(desk: Desk) -> None:
    """The process that set it aside may have died before it could say so."""
    desk.drop("broken.json", b"{")
    await desk.reason("broken.json")
    before = len(desk.told("broken.json"))
    await desk.harness.restart()
    await desk.harness.open("again")
    assert desk.told("broken.json") == ["order_quarantined"] * (before + 1)


async def test_what_is_on_record_is_not_told_again(desk: Desk) -> None:
    """A restart repeats no line and no letter for a file that trail and people know of."""
    desk.drop("broken.json", b"{")
    await desk.reason("broken.json")
    for incident in desk.harness.incidents.incidents:
        if incident.on_told is not None:
            incident.on_told()
    before = desk.told("broken.json")
    await desk.harness.restart()
    await desk.harness.open("again")
    assert desk.told("broken.json") == before
    assert "not JSON" in await desk.reason("broken.json")


async def test_notices_that_stop_coming_are_told_and_done_without(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by the clock, told once; each second from then on, until notices come again."""

    def kinds() -> list[str]:
        incidents = desk.harness.incidents.incidents
        return [i.kind for i in incidents if i.kind.startswith("notices_")]

    read = FolderWatch._read
    with monkeypatch.context() as silence:
        silence.setattr(FolderWatch, "_read", lambda watch: read(watch) and [])
        for number in range(3):
            desk.drop(f"{number}.json", GUIDE)
            await desk.harness.elapse(timedelta(seconds=32 if number == 0 else 2))
            assert (await desk.done()).order.id == str(number)
        assert kinds() == ["notices_lost"]
    desk.drop("heard.json", GUIDE)
    assert (await desk.done()).order.id == "heard"
    await desk.harness.elapse(timedelta(minutes=6))
    assert kinds() == ["notices_lost", "notices_back"]


async def test_notices_that_come_are_not_doubted(desk: Desk) -> None:
    """Half-written, unreadable, given back, many at once: each was announced."""
    desk.drop("half.json", b"{")
    for number in range(20):
        desk.drop(f"{number}.json", {**GUIDE, "session": f"{number}"})
    await desk.queue.nack(await desk.next(), delay=timedelta(seconds=40))
    (desk.orders / "0.json").unlink(missing_ok=True)
    for _ in range(10):
        await desk.harness.elapse(timedelta(seconds=11))
        desk.drop("again.json", GUIDE)
    assert not [i for i in desk.harness.incidents.incidents if i.kind.startswith("notices_")]


@pytest.mark.parametrize("is_killed", [True, False])
async def test_an_order_that_was_begun_comes_before_all_others_of_its_conversation(
    desk: Desk, *, is_killed: bool
) -> None:
    """However others are dated: they would go on in the session of one that is broken off."""
    desk.drop("begun.json", GUIDE | {"session": "talk"}, at=2_000)
    delivery = await desk.next()
    assert delivery.order.id == "begun"
    desk.drop("older.json", GUIDE | {"session": "talk"}, at=1_000)
    if is_killed:
        await desk.harness.kill(desk.queue)
        desk.queue = await desk.harness.open("next")
        again = await desk.harness.claim_in_time(desk.queue)
    else:
        await desk.queue.nack(delivery)
        again = await desk.next()
    assert (again.order.id, again.attempt) == ("begun", 2)
