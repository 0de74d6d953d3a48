"""From a message on the phone to its answer there, beside the bare call to the same opencode.

Gateway, Hermes, opencode and the Bot API server are processes; the server notes when a call came
in.  Beside that: how soon a letter is on its way, and what a gateway costs that has nothing to do.
"""

from __future__ import annotations

import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import anyio
from attrs import define, field, frozen

from benchmarks import _machine
from benchmarks._figure import Figure, percentile
from benchmarks._project import make_project, settings_file
from benchmarks.order import AGENT, PATIENCE_S, PROMPT, SLOW_PROMPT, Bare, _hermes, expected
from galaxy_adapters._files import ChangeKind, FolderWatch
from galaxy_adapters._opencode import find_opencode
from galaxy_adapters.dispatch_opencode_server import OwnServer, OwnServerSettings
from galaxy_apps.settings import environment
from galaxy_core.testing.bot_api.process import BotApiProcess, Remote
from galaxy_core.testing.opencode_project import (
    MODEL,
    private_environment,
    write_opencode_project,
)
from galaxy_core.testing.scripted_llm import running_model
from galaxy_core.wire.layout import Layout

CONVERSATIONS, TURNS, SLOW = 9, 5, 6
WARM = 1
"""Conversations that are not counted."""
LETTERS = 40
IDLE_S = 20.0
LIMIT = 1.15
PICKUP_MS, IDLE_MB, IDLE_PERCENT = 25.0, 80.0, 0.5
STEPS = (
    ("order_submitted", "message written -> order on record"),
    ("order_claimed", "-> claimed by Hermes"),
    ("order_execution_started", "-> the agent is about to be asked"),
    ("order_executed_success", "-> the answer is decided on"),
    ("called", "-> the answer is at Telegram"),
)
"""Moments of an order in its trail, and what lies before them."""


@frozen
class Pair:
    """The same message both ways, in seconds."""

    prompt: str
    alone: float
    through: float
    steps: tuple[float, ...]


@define
class Phone:
    """People with a phone, and what stands between them and the agent."""

    layout: Layout
    telegram: BotApiProcess
    people: list[Remote]
    watch: FolderWatch = field(factory=FolderWatch)

    def __attrs_post_init__(self) -> None:
        self.layout.outbox_archive.mkdir(parents=True, exist_ok=True)
        self.watch.add(self.layout.outbox_archive, ChangeKind.ARRIVED | ChangeKind.CREATED)

    async def ask(self, person: Remote, turn: int, prompt: str) -> tuple[float, tuple[float, ...]]:
        """Seconds until the answer comes in at Telegram, and for each step on the way."""
        known = self._sent_letters()
        begun = time.time()
        person.do("writes", text=prompt)
        await self._wait(known)
        words = expected(turn, prompt)
        answered = self._called(str(person.id), words, begun)
        moments = [begun, *self._moments(begun), answered]
        steps = tuple(after - before for before, after in pairwise(moments))
        return answered - begun, steps

    async def deliver(self, number: int) -> float:
        """Seconds from a letter's place in the outbox to its call."""
        known = self._sent_letters()
        person = self.people[number % len(self.people)]
        letter = {"type": "notification", "message": f"letter {number}.", "format": "plain"}
        letter |= {"chat_id": str(person.id), "channel": "telegram"}
        scratch = self.layout.outbox / f".tmp-{number}"
        scratch.write_text(json.dumps(letter), encoding="utf-8")
        begun = time.time()
        scratch.rename(self.layout.outbox / f"letter-{number}.json")
        await self._wait(known)
        return self._called(str(person.id), f"letter {number}.", begun) - begun

    def _sent_letters(self) -> int:
        return sum(path.suffix == ".json" for path in self.layout.outbox_archive.iterdir())

    async def _wait(self, known: int) -> None:
        with anyio.fail_after(PATIENCE_S):
            while self._sent_letters() <= known:
                await self.watch.wait(1.0)
                self.watch.take()

    def _called(self, chat: str, words: str, begun: float) -> float:
        for call in reversed(self.telegram.do("calls", method="sendMessage")):
            arguments = call["arguments"]
            at = datetime.fromisoformat(call["at"]).timestamp()
            if str(arguments["chat_id"]) == chat and words in arguments["text"] and at >= begun:
                return at
        raise RuntimeError(f"{words!r} was never sent to {chat}")

    def _moments(self, begun: float) -> Iterator[float]:
        lines = self.layout.audit_log.read_text(encoding="utf-8").splitlines()[-40:]
        known = {}
        for line in map(json.loads, lines):
            at = datetime.fromisoformat(line["timestamp"]).timestamp()
            if at >= begun:
                known[line["event_type"]] = at
        for name, _ in STEPS[:-1]:
            yield known[name]


def run() -> list[Figure]:
    """Measure; the two take turns message by message, each in conversations of its own."""
    with (
        tempfile.TemporaryDirectory(dir=_machine.folder()) as home,
        running_model() as model,
        BotApiProcess(Path(home), keeps_state=False) as telegram,
    ):
        return anyio.run(_measure, Path(home), model.url, telegram)


async def _measure(home: Path, model: str, telegram: BotApiProcess) -> list[Figure]:
    folder = write_opencode_project(home / "project", model)
    server = OwnServer(
        OwnServerSettings(
            machine=folder,
            environment=private_environment(home / "home", environment()),
            binary=find_opencode(environment().get("GALAXY_OPENCODE_BIN"), environment()),
            outlives_us=False,
        )
    )
    people = [telegram.person(f"Person {number}") for number in range(WARM + CONVERSATIONS + 1)]
    try:
        endpoint = (await server.connect()).endpoint
        make_project(
            folder,
            opencode={
                "url": endpoint.url,
                "password": endpoint.password,
                "agent": AGENT,
                "model": MODEL,
            },
            telegram_token=telegram.token,
            authorized_users=[person.id for person in people],
            telegram={
                "base_url": telegram.base_url,
                # What is measured is us, not the pauses that Telegram wants.
                "rates": {"chat_every": 0.01, "chat_burst": 100, "total_per_second": 1000},
            },
        )
        with ExitStack() as stack:
            gateway = stack.enter_context(_gateway(folder))
            idle = await _idle(gateway)
            stack.enter_context(_hermes(folder))
            phone = Phone(Layout(folder), telegram, people)
            pairs = await _take_turns(Bare(endpoint, folder), phone)
            letters = []
            for number in range(LETTERS):
                letters.append(await phone.deliver(number))
                await anyio.sleep(random.uniform(0.05, 0.1))
    finally:
        await server.aclose()
    return [*_figures(pairs), *_letter_figures(letters), *idle]


@contextmanager
def _gateway(folder: Path) -> Iterator[int]:
    log = folder / "gateway.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "galaxy_apps.gateway", "--config", str(settings_file(folder))],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        end = time.monotonic() + PATIENCE_S
        while "gateway.started" not in log.read_text():
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the gateway does not start: {log.read_text()}")
            time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


async def _idle(pid: int) -> list[Figure]:
    await anyio.sleep(3)  # a start is no idling
    before = _processor_seconds(pid)
    await anyio.sleep(IDLE_S)
    share = (_processor_seconds(pid) - before) / IDLE_S
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    memory = re.search(r"VmRSS:\s+(\d+) kB", status)
    if memory is None:
        raise RuntimeError("the system does not tell what the gateway takes")
    return [
        Figure(name="idle gateway, memory", value=int(memory[1]) / 1e3, unit="MB", limit=IDLE_MB),
        Figure(
            name="idle gateway, of a core",
            value=share * 100,
            unit="%",
            limit=IDLE_PERCENT,
            note=f"in {IDLE_S:.0f} s",
        ),
    ]


def _processor_seconds(pid: int) -> float:
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


async def _take_turns(bare: Bare, phone: Phone) -> list[Pair]:
    plan = [
        (person, turn, PROMPT)
        for person in phone.people[: WARM + CONVERSATIONS]
        for turn in range(TURNS)
    ]
    plan += [(phone.people[-1], turn, SLOW_PROMPT) for turn in range(SLOW)]
    pairs = []
    for number, (person, turn, prompt) in enumerate(plan):
        alone = through = 0.0
        steps: tuple[float, ...] = ()
        for is_whole in (True, False) if number % 2 else (False, True):
            if is_whole:
                through, steps = await phone.ask(person, turn, prompt)
            else:
                alone = await anyio.to_thread.run_sync(bare.ask, turn, prompt)
            # What either does after its end must not slow down who comes next.
            await anyio.sleep(random.uniform(0.05, 0.1))
        pairs.append(Pair(prompt, alone, through, steps))
    return pairs[WARM * TURNS :]


def _figures(pairs: list[Pair]) -> list[Figure]:
    quick = [pair for pair in pairs if pair.prompt == PROMPT]
    slow = [pair for pair in pairs if pair.prompt == SLOW_PROMPT]
    return [
        _milliseconds("the bare call", [pair.alone for pair in quick]),
        _milliseconds("message to answer", [pair.through for pair in quick]),
        *(
            _milliseconds(f"  {name}", [pair.steps[place] for pair in quick])
            for place, (_, name) in enumerate(STEPS)
        ),
        Figure(
            name="message to answer / bare, a model that answers at once",
            value=_ratio(quick),
            unit="ratio",
            limit=LIMIT,
        ),
        Figure(
            name="message to answer / bare, a model that thinks for a second",
            value=_ratio(slow),
            unit="ratio",
            limit=LIMIT,
        ),
    ]


def _letter_figures(letters: list[float]) -> list[Figure]:
    return [
        Figure(
            name="letter in the outbox -> call of Telegram",
            value=statistics.median(letters) * 1e3,
            unit="ms",
            limit=PICKUP_MS,
            note=f"{len(letters)} letters, p90 {percentile(letters, 90) * 1e3:.0f} ms",
        )
    ]


def _ratio(pairs: list[Pair]) -> float:
    alone = statistics.median(pair.alone for pair in pairs)
    return statistics.median(pair.through for pair in pairs) / alone


def _milliseconds(name: str, samples: list[float]) -> Figure:
    return Figure(
        name=name,
        value=statistics.median(samples) * 1e3,
        unit="ms",
        note=f"{len(samples)} messages, p90 {percentile(samples, 90) * 1e3:.0f} ms",
    )
