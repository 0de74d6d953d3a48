"""Streams that each watcher draws at its own pace."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import anyio
from anyio.lowlevel import checkpoint
from starlette.types import Message, Receive, Scope, Send

from galaxy_adapters._web.events import ServerEvent
from galaxy_adapters._web.listening import STOPPING
from galaxy_adapters._web.streams import DrawnEvents

NEWS = ServerEvent.of("news", {"n": 1})


class _Watcher:
    """Somebody at the other end, who hangs up when told to."""

    def __init__(self, method: str = "GET") -> None:
        self.gone = anyio.Event()
        self.stopping = anyio.Event()
        self.wrote = anyio.Event()
        self.received = b""
        self.is_ended = False
        self.room = anyio.Semaphore(1_000)
        self.scope: Scope = {"type": "http", "method": method, STOPPING: self.stopping}

    async def receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.body":
            await self.room.acquire()
            self.received += message["body"]
            self.wrote.set()
            self.wrote = anyio.Event()
            self.is_ended = not message["more_body"]

    async def gets(self, text: bytes, times: int = 1) -> None:
        """Wait until it has come so often."""
        with anyio.fail_after(5):
            while self.received.count(text) < times:
                await self.wrote.wait()

    @property
    def ends(self) -> tuple[Scope, Receive, Send]:
        """What an application is called with."""
        return self.scope, self.receive, self.send


async def _forever(looks: list[int]) -> AsyncIterator[Sequence[ServerEvent]]:
    while True:
        looks.append(1)
        yield [NEWS]
        await checkpoint()


async def test_stream_ends_with_its_looks() -> None:
    """What comes to an end by itself is ended, and the answer with it."""

    async def looks() -> AsyncIterator[Sequence[ServerEvent]]:
        yield [NEWS, NEWS]
        yield []

    watcher = _Watcher()
    with anyio.fail_after(5):
        await DrawnEvents(looks())(*watcher.ends)
    assert watcher.received.count(b"event: news") == 2
    assert watcher.received.startswith(b"retry: ")
    assert watcher.is_ended


async def test_stream_ends_when_the_watcher_goes() -> None:
    """Nobody is looked for who is not there any more."""
    watcher, looks = _Watcher(), list[int]()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(DrawnEvents(_forever(looks)), *watcher.ends)
            await watcher.gets(b"news")
            watcher.gone.set()


async def test_stream_ends_when_the_server_stops() -> None:
    """Open pages do not hold a restart up."""
    watcher, looks = _Watcher(), list[int]()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(DrawnEvents(_forever(looks)), *watcher.ends)
            await watcher.gets(b"news")
            watcher.stopping.set()
    assert watcher.is_ended


async def test_slow_watcher_gets_fewer_looks() -> None:
    """Nothing is collected for who does not read: it is looked at again when there is room."""
    watcher, looks = _Watcher(), list[int]()
    watcher.room = anyio.Semaphore(3)  # the greeting and two looks
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(DrawnEvents(_forever(looks)), *watcher.ends)
        await watcher.gets(b"news", 2)
        await anyio.wait_all_tasks_blocked()
        assert len(looks) == 3  # the third waits to be written
        for _ in range(5):
            watcher.room.release()
        watcher.gone.set()


async def test_signs_of_life_come_when_nothing_else_does() -> None:
    """Proxies cut a connection on which nothing comes."""

    async def looks() -> AsyncIterator[Sequence[ServerEvent]]:
        for _ in range(3):
            yield []

    watcher = _Watcher()
    await DrawnEvents(looks(), heartbeat_seconds=0)(*watcher.ends)
    assert watcher.received.count(b": still here") == 3
    quiet = _Watcher()
    await DrawnEvents(looks())(*quiet.ends)
    assert b"still here" not in quiet.received


async def test_head_gets_no_stream() -> None:
    """HEAD is answered at once."""
    watcher, looks = _Watcher("HEAD"), list[int]()
    with anyio.fail_after(5):
        await DrawnEvents(_forever(looks))(*watcher.ends)
    assert watcher.received == b""
    assert not looks
