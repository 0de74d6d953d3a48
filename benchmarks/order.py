"""A whole order through Hermes and a warm opencode, beside the bare call to the same server.

And beside the syncs that an order waits for, alone: what the disk takes of the difference.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import anyio
from attrs import define, field, frozen

from benchmarks import _machine
from benchmarks._figure import Figure, percentile
from benchmarks._project import drop, make_project, order_bytes, settings_file
from galaxy_adapters._files import ChangeKind, FolderWatch
from galaxy_adapters._files.commit_order import commits_in_order
from galaxy_adapters._files.writeback import can_write_out, write_out
from galaxy_adapters._opencode import find_opencode
from galaxy_adapters.dispatch_opencode_server import OwnServer, OwnServerSettings
from galaxy_adapters.dispatch_opencode_server.client import Endpoint
from galaxy_apps.settings import environment
from galaxy_core.testing.opencode_project import (
    MODEL,
    private_environment,
    write_opencode_project,
)
from galaxy_core.testing.scripted_llm import running_model
from galaxy_core.wire.layout import Layout

CONVERSATIONS, TURNS = 9, 5
WARM = 8
"""Conversations that are not counted: opencode takes half as long once it has compiled its code,
which takes it some fifty messages."""
PROMPT = "Test: Echo hello world"
SLOW_PROMPT = "SLEEP 1\nSAY hello world"
SLOW = 6
"""So many pairs with a model that thinks for a second, as quick real ones do."""
AGENT = "build"
LIMIT = 1.10
PATIENCE_S = 60.0


@frozen
class Seconds:
    """From the beginning of an order, or of its syncs."""

    answered: float
    """Until the response has its name: from then on whoever waits has the answer."""
    over: float
    """Until it is archived."""


@frozen
class Pair:
    """The same message both ways, in seconds."""

    prompt: str
    turn: int
    alone: float
    through: Seconds
    posted: float
    syncs: Seconds


@define
class Bare:
    """Somebody who calls opencode and nothing else, with the quickest client there is."""

    endpoint: Endpoint
    directory: Path
    session: str = ""
    _connection: http.client.HTTPConnection = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(self.endpoint.url).netloc)

    def ask(self, turn: int, prompt: str) -> float:
        """Seconds for one message; the first one of a conversation makes the session, as Hermes."""
        begun = time.perf_counter()
        if turn == 0:
            self.session = self._post("/session", {"title": PROMPT})["id"]
        provider, _, model = MODEL.partition("/")
        answer = self._post(
            f"/session/{self.session}/message",
            {
                "agent": AGENT,
                "model": {"providerID": provider, "modelID": model},
                "parts": [{"type": "text", "text": prompt}],
            },
        )
        seconds = time.perf_counter() - begun
        assert expected(turn, prompt) in json.dumps(answer["parts"]), answer
        return seconds

    def _post(self, path: str, body: object) -> Any:  # noqa: ANN401 - JSON
        key = b64encode(f"{self.endpoint.username}:{self.endpoint.password}".encode()).decode()
        headers = {
            "authorization": f"Basic {key}",
            "content-type": "application/json",
            "x-opencode-directory": quote(str(self.directory)),
        }
        self._connection.request("POST", path, json.dumps(body), headers)
        response = self._connection.getresponse()
        content = response.read()
        assert response.status == http.client.OK, content[:300]
        return json.loads(content)


@define
class Chain:
    """The syncs of one order that nothing can be done beside, and nothing but those."""

    folder: Path
    _number: int = 0

    def run(self) -> Seconds:
        """How long one order's take."""
        self._number += 1
        begun = time.perf_counter()
        journal = os.open(f"{self.folder}/{self._number}.jsonl", os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.write(journal, b"\n" * 16_384)
            os.fsync(journal)  # the ticket; the trail is written beside it
            self._sync_folder()
            os.pwrite(journal, b"x" * 500, 600)
            os.fdatasync(journal)  # the decision
        finally:
            os.close(journal)
        answered = self._put(f"{self.folder}/{self._number}.md")  # letter and trail beside it
        self._put(f"{self.folder}/{self._number}.json")  # the archive
        return Seconds(answered - begun, time.perf_counter() - begun)

    def _put(self, path: str) -> float:
        """Store a record; when it had its name."""
        is_ordered = can_write_out() and commits_in_order(self.folder)
        fd = os.open(path + ".tmp", os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.write(fd, b"x" * 500)
            if is_ordered:
                write_out(fd)
            else:
                os.fsync(fd)
            os.rename(path + ".tmp", path)  # noqa: PTH104 - nothing but the calls themselves
            named = time.perf_counter()
            if is_ordered:
                os.fsync(fd)
        finally:
            os.close(fd)
        self._sync_folder()
        return named

    def _sync_folder(self) -> None:
        fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


@define
class Whole:
    """A Hermes that runs, and orders for it."""

    layout: Layout
    watch: FolderWatch = field(factory=FolderWatch)
    posted: list[float] = field(factory=list)
    """Seconds until response and letter stood: from then on people can have the answer."""

    def __attrs_post_init__(self) -> None:
        self.watch.add(self.layout.outbox, ChangeKind.ARRIVED | ChangeKind.CREATED)
        self.watch.add(self.layout.notepads, ChangeKind.ARRIVED | ChangeKind.CREATED)
        self.watch.add(self.layout.archive, ChangeKind.ARRIVED | ChangeKind.CREATED)

    async def ask(self, conversation: int, turn: int, prompt: str) -> Seconds:
        """How long it takes from the close of the order's file."""
        order_id = f"order-{conversation}-{turn}"
        data = order_bytes(prompt, session=f"talk-{conversation}")
        closed = drop(self.layout.orders / f"{order_id}.json", data)
        answered = await self._seen(self.layout.response(order_id), closed)
        posted = await self._seen(self.layout.outbox / f"hermes-{order_id}.json", closed)
        archived = await self._seen(self.layout.archive / f"{order_id}.json", closed)
        text = self.layout.response(order_id).read_text(encoding="utf-8")
        assert expected(turn, prompt) in text, text
        self.posted.append(posted)
        return Seconds(answered, archived)

    async def _seen(self, path: Path, closed: int) -> float:
        with anyio.fail_after(PATIENCE_S):
            while not path.exists():
                await self.watch.wait(1.0)
                self.watch.take()
        return (time.monotonic_ns() - closed) / 1e9


def expected(turn: int, prompt: str) -> str:
    """What the model answers; it counts the messages that it is shown."""
    return "hello world" if prompt == SLOW_PROMPT else f"echo[{turn + 1}]: {prompt}"


def run() -> list[Figure]:
    """Measure; the two take turns order by order, each in conversations of its own."""
    with tempfile.TemporaryDirectory(dir=_machine.folder()) as home, running_model() as model:
        return anyio.run(_measure, Path(home), model.url)


async def _measure(home: Path, model: str) -> list[Figure]:
    folder = write_opencode_project(home / "project", model)
    server = OwnServer(
        OwnServerSettings(
            machine=folder,
            environment=private_environment(home / "home", environment()),
            binary=find_opencode(environment().get("GALAXY_OPENCODE_BIN"), environment()),
            outlives_us=False,
        )
    )
    try:
        endpoint = (await server.connect()).endpoint
        opencode = {"url": endpoint.url, "password": endpoint.password}
        make_project(folder, opencode={**opencode, "agent": AGENT, "model": MODEL})
        with _hermes(folder):
            bare, whole = Bare(endpoint, folder), Whole(Layout(folder))
            (home / "syncs").mkdir()
            pairs = await _take_turns(bare, whole, Chain(home / "syncs"))
    finally:
        await server.aclose()
    return _figures(pairs)


@contextmanager
def _hermes(folder: Path) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", "galaxy_apps.hermes", "--config", str(settings_file(folder))],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + PATIENCE_S
        while not Layout(folder).heartbeat.exists():
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("Hermes does not start")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


async def _take_turns(bare: Bare, whole: Whole, chain: Chain) -> list[Pair]:
    plan = [
        (conversation, turn, PROMPT)
        for conversation in range(WARM + CONVERSATIONS)
        for turn in range(TURNS)
    ]
    plan += [(WARM + CONVERSATIONS, turn, SLOW_PROMPT) for turn in range(SLOW)]
    pairs = []
    for number, (conversation, turn, prompt) in enumerate(plan):
        through, alone = Seconds(0.0, 0.0), 0.0
        for is_whole in (True, False) if number % 2 else (False, True):
            if is_whole:
                through = await whole.ask(conversation, turn, prompt)
            else:
                alone = await anyio.to_thread.run_sync(bare.ask, turn, prompt)
            # What either does after its end must not slow down who comes next.
            await anyio.sleep(random.uniform(0.02, 0.06))
        syncs = await anyio.to_thread.run_sync(chain.run)
        await anyio.sleep(random.uniform(0.02, 0.06))
        pairs.append(Pair(prompt, turn, alone, through, whole.posted[-1], syncs))
    return pairs[WARM * TURNS :]


def _figures(pairs: list[Pair]) -> list[Figure]:
    quick = [pair for pair in pairs if pair.prompt == PROMPT]
    parts = {
        "of it, first messages of a conversation": [pair for pair in quick if pair.turn == 0],
        "of it, later messages": [pair for pair in quick if pair.turn > 0],
    }
    slow = [pair for pair in pairs if pair.prompt == SLOW_PROMPT]
    return [
        _milliseconds("the bare call", [pair.alone for pair in quick]),
        _milliseconds("through Hermes, until the response", [p.through.answered for p in quick]),
        _milliseconds("through Hermes, until the letter is posted, too", [p.posted for p in quick]),
        _milliseconds("through Hermes, until it is archived", [p.through.over for p in quick]),
        *_ratios("a model that answers at once", quick),
        _milliseconds("the syncs before the response, alone", [p.syncs.answered for p in quick]),
        _milliseconds("all syncs that it waits for, alone", [p.syncs.over for p in quick]),
        Figure(
            name="bare and the syncs before the response / bare",
            value=1 + statistics.median(p.syncs.answered for p in quick) / _median_alone(quick),
            unit="ratio",
        ),
        *(Figure(name=name, value=_answered(some), unit="ratio") for name, some in parts.items()),
        *_ratios("a model that thinks for a second", slow),
    ]


def _ratios(model: str, pairs: list[Pair]) -> list[Figure]:
    over = statistics.median(pair.through.over for pair in pairs) / _median_alone(pairs)
    return [
        Figure(name=f"response / bare, {model}", value=_answered(pairs), unit="ratio", limit=LIMIT),
        Figure(name=f"archived / bare, {model}", value=over, unit="ratio", limit=LIMIT),
    ]


def _answered(pairs: list[Pair]) -> float:
    return statistics.median(pair.through.answered for pair in pairs) / _median_alone(pairs)


def _median_alone(pairs: list[Pair]) -> float:
    return statistics.median(pair.alone for pair in pairs)


def _milliseconds(name: str, samples: list[float]) -> Figure:
    return Figure(
        name=name,
        value=statistics.median(samples) * 1e3,
        unit="ms",
        note=f"{len(samples)} orders, p90 {percentile(samples, 90) * 1e3:.0f} ms",
    )
