"""The page beside 100,000 archived orders: `/api/status`, and 200 pages that watch."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import anyio
import psutil
from attrs import define, field

from benchmarks import _machine
from benchmarks._figure import Figure, median_ms, percentile
from benchmarks._project import MACHINE, make_project, settings_file
from benchmarks.insight import ORDERS, _fill_archive, write_trail
from galaxy_apps.settings import environment

CALLS, STATUS_MS = 300, 10.0
CHATS, BOARDS = 100, 100
ROUNDS, WARM, MESSAGES = 8, 3, 10
MEMORY_MB, GROWTH_MB = 150.0, 5.0
PATIENCE_S = 120.0
HEADERS = {"Content-Type": "application/json", "Accept": "text/html, application/json"}


@define
class Watched:
    """A `galaxy up` whose agent asks no model, and a browser that is logged in."""

    port: int
    process: psutil.Process
    cookie: str = ""
    events: int = 0
    _line: HTTPConnection = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._line = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """One request on a connection that stays open."""
        origin = f"http://127.0.0.1:{self.port}"
        headers = HEADERS | {"Cookie": self.cookie, "Origin": origin}
        data = None if body is None else json.dumps(body)
        self._line.request(method, path, data, headers)
        answer = self._line.getresponse()
        if found := answer.getheader("set-cookie"):
            self.cookie = found.partition(";")[0]
        return answer.status, answer.read()

    @property
    def megabytes(self) -> float:
        """Memory of the process."""
        return float(self.process.memory_info().rss) / 1e6

    def status(self) -> dict[str, object]:
        """What `/api/status` says."""
        code, content = self.ask("GET", "/api/status")
        assert code == 200, content
        found: dict[str, object] = json.loads(content)
        return found


def run() -> list[Figure]:
    """Measure on the disk of the temporary folder."""
    with tempfile.TemporaryDirectory(dir=_machine.folder()) as folder:
        project = Path(folder) / "project"
        place = make_project(project, dispatcher="scripted")
        _fill_archive(place.layout.archive)
        place.layout.logs.mkdir()
        write_trail(place.layout.audit_log, MACHINE)
        with _up(project) as up:
            return [*_status(up), *anyio.run(_watching, up)]


@contextmanager
def _up(project: Path) -> Iterator[Watched]:
    command = [sys.executable, "-m", "galaxy_apps.cli.main", "up", "--no-browser", "--port", "0"]
    with (
        (project / "up.log").open("w") as log,
        subprocess.Popen(
            [*command, "--config", settings_file(project)],
            env=dict(environment()) | {"PWD": str(project)},
            cwd=project,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split()[-1]
            port, _, path = address.partition("127.0.0.1:")[2].partition("/")
            # The process that was started watches the one that works.
            (working,) = psutil.Process(process.pid).children()
            up = Watched(int(port), working)
            code, _ = up.ask("GET", f"/{path}")
            assert code == 303, code
            yield up
        finally:
            process.terminate()


def _status(up: Watched) -> list[Figure]:
    begun = time.perf_counter()
    while up.status()["processed"] != ORDERS + 10:  # the older ones stand in no trail
        assert time.perf_counter() - begun < PATIENCE_S * 3, up.status()
        time.sleep(1)
    counted = time.perf_counter() - begun
    samples, pauses = [], []
    for _ in range(CALLS):
        begun = time.perf_counter()
        up.ask("GET", "/healthz")
        pauses.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        up.status()
        samples.append(time.perf_counter() - begun)
    return [
        Figure(name="start until all orders are counted", value=counted, unit="s"),
        Figure(name="GET /api/status", value=median_ms(samples), unit="ms", limit=STATUS_MS),
        Figure(name="GET /api/status, p99", value=percentile(samples, 99) * 1e3, unit="ms"),
        Figure(name="GET /healthz, in turn with it", value=median_ms(pauses), unit="ms"),
        Figure(name="memory, nobody watches", value=up.megabytes, unit="MB"),
    ]


async def _watching(up: Watched) -> list[Figure]:
    """Open pages, say things, and look what it costs."""
    assert up.ask("GET", "/chat")[0] in {200, 303}
    memory: list[float] = []
    async with anyio.create_task_group() as tasks:
        paths = ["/chat/api/events"] * CHATS + ["/events?range=day"] * BOARDS
        for path in paths:
            await tasks.start(_watch, up, path)
        begun, cpu = time.perf_counter(), sum(up.process.cpu_times()[:2])
        for _ in range(ROUNDS):
            seen = up.events
            for _ in range(MESSAGES):
                body = {
                    "key": str(uuid.uuid4()),
                    "conversation": "general",
                    "text": "SAY what is there to be said",
                }
                code, content = await anyio.to_thread.run_sync(
                    up.ask, "POST", "/chat/api/messages", body
                )
                assert code == 202, content
            # Each message is an event, and so is its answer, on every chat.
            with anyio.fail_after(PATIENCE_S):
                while up.events - seen < CHATS * MESSAGES * 2:  # noqa: ASYNC110  other tasks count
                    await anyio.sleep(0.1)
            memory.append(up.megabytes)
        seconds = time.perf_counter() - begun
        cpu = sum(up.process.cpu_times()[:2]) - cpu
        events = up.events
        tasks.cancel_scope.cancel()
    return [
        Figure(name="pages that watch", value=len(paths), unit="pages"),
        Figure(
            name="memory meanwhile, at most",
            value=max(memory),
            unit="MB",
            limit=MEMORY_MB,
            note=", ".join(f"{value:.0f}" for value in memory),
        ),
        Figure(
            name=f"growth after {WARM} of {ROUNDS} rounds",
            value=memory[-1] - memory[WARM - 1],
            unit="MB",
            limit=GROWTH_MB,
        ),
        Figure(name="events sent", value=events / seconds, unit="/s", note=f"{cpu:.1f} s of work"),
    ]


async def _watch(
    up: Watched, path: str, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """One page that is open; has begun with the first bytes of its stream."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{up.port}\r\nCookie: {up.cookie}\r\n\r\n"
    async with await anyio.connect_tcp("127.0.0.1", up.port) as line:
        await line.send(request.encode())
        data = await line.receive()
        assert data.startswith(b"HTTP/1.1 200"), data[:100]
        task_status.started()
        while True:
            up.events += data.count(b"\nevent: ")
            data = await line.receive()
