"""kill -9 of the gateway, again and again, under a stream of messages and a bad network.

`GALAXY_KILLS=200` lets it die so often (it then takes minutes); `GALAXY_SEED` repeats a run.
Half of the deaths come at every step in turn between an update and the receipt of its answer, the
others at any moment.  Then the books are balanced, at Telegram, in the archive and in the trail.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from galaxy_core.testing.bot_api.process import BotApiProcess, Remote
from tests.e2e.machine import PATIENCE_S, eventually
from tests.e2e.phone import Site

_ENVIRONMENT = os.environ  # noqa: TID251 - how long the test is
KILLS = int(_ENVIRONMENT.get("GALAXY_KILLS", "40"))
SEED = int(_ENVIRONMENT.get("GALAXY_SEED", "1"))

MORTAL = Path(__file__).with_name("mortal_gateway.py")
PEOPLE = 8
STEPS = (
    "notes.add.update",
    "desk.submit",
    "trail.record",
    "outbox.post",
    "channel.confirm",
    "notes.close.update",
    "notes.put.sending",
    "channel.send",
    "notes.close.sending",
    "notes.put.hold",
    "notes.put.card",
    "channel.show",
    "outbox.record",
    "outbox.mark_sent",
)
PLACES = tuple(f"{step}:{when}" for step in STEPS for when in ("before", "after"))
LONGEST_LIFE_S = 1.0
MARK = "may be a repeat"
FAULTS = (
    {"kind": "flood", "method": "sendMessage", "probability": 0.06, "retry_after": 1},
    {"kind": "flood", "method": "editMessageText", "probability": 0.04, "retry_after": 2},
    {"kind": "error", "method": "sendMessage", "probability": 0.05},
    {"kind": "html", "method": "sendMessage", "probability": 0.04},
    {"kind": "cut_before", "method": "sendMessage", "probability": 0.05},
    {"kind": "cut_after", "method": "sendMessage", "probability": 0.05},
    {"kind": "cut_body", "method": "sendMessage", "probability": 0.04},
    {"kind": "redeliver", "method": "getUpdates", "probability": 0.10, "count": 5},
    {"kind": "cut_before", "method": "getUpdates", "probability": 0.04},
)


@define
class Lives:
    """The program that gateways are forked from."""

    site: Site
    process: subprocess.Popen[str] = field(init=False)
    _lines: queue.Queue[str] = field(factory=queue.Queue, init=False)

    def __attrs_post_init__(self) -> None:
        words = [str(MORTAL), str(self.config), str(self.trace_file), str(self.log)]
        self.process = subprocess.Popen(
            [sys.executable, *words],
            cwd=self.site.folder,
            env=self.site.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._listen, name="lives", daemon=True).start()

    @property
    def config(self) -> Path:
        """The settings."""
        return self.site.layout.settings_folder / "config.json"

    @property
    def trace_file(self) -> Path:
        """What all lives did with letters."""
        return self.site.folder / "trace.jsonl"

    @property
    def log(self) -> Path:
        """What all lives said."""
        return self.site.folder / "lives.log"

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def begin(self, **wish: str | int | None) -> int:
        """Begin a life; the number of its process."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(wish) + "\n")
        self.process.stdin.flush()
        return int(self._lines.get(timeout=PATIENCE_S))

    def ends_by_itself(self, seconds: float) -> bool:
        """Whether it dies within that time where it was told to."""
        try:
            return int(self._lines.get(timeout=seconds)) == -signal.SIGKILL
        except queue.Empty:
            return False

    def kill(self, pid: int) -> None:
        """End it from outside."""
        os.kill(pid, signal.SIGKILL)
        assert int(self._lines.get(timeout=PATIENCE_S)) == -signal.SIGKILL

    def stop(self, pid: int) -> None:
        """End it as a person would."""
        os.kill(pid, signal.SIGTERM)
        assert int(self._lines.get(timeout=PATIENCE_S)) == 0

    def trace(self) -> list[dict[str, Any]]:
        """What they did, in order."""
        return [json.loads(line) for line in self.trace_file.read_text().splitlines()]

    def close(self) -> None:
        """No more lives."""
        # The whole group: a life outlives the program that it was forked from.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


@define
class Stream:
    """People who write, whether or not anybody reads."""

    people: list[Remote]
    chance: random.Random
    told: dict[str, Remote] = field(factory=dict)
    """Orders by their mark."""
    commands: Counter[int] = field(factory=Counter)
    photos: set[bytes] = field(factory=set)

    def step(self) -> None:
        """Somebody does something."""
        person, number = self.chance.choice(self.people), len(self.told)
        mark = f"order-{number:04}."
        dice = self.chance.random()
        if dice < 0.1:
            person.do("writes", text="/whoami")
            self.commands[person.id or 0] += 1
            return
        self.told[mark] = person
        if dice < 0.2:
            pictures = [b"\xff\xd8" + f"{mark}{letter}".encode() for letter in "ab"]
            self.photos |= set(pictures)
            files = [("photo", f"{mark}jpg", picture) for picture in pictures]
            person.do("sends_album", files=files, caption=mark)
        elif dice < 0.3:
            person.do("writes", text=f"SLEEP 1.2\nSAY {mark}")
        else:
            person.do("writes", text=mark)


@pytest.fixture
def telegram(tmp_path: Path) -> Iterator[BotApiProcess]:
    """Give a Bot API server of our own."""
    with BotApiProcess(tmp_path, keeps_state=False) as running:
        yield running


@pytest.mark.timeout(900)
def test_killed_again_and_again(tmp_path: Path, telegram: BotApiProcess) -> None:
    """One order for each message, one answer for each order, whatever dies and breaks between.

    A second copy is there only where the outcome of the first was hidden, and says so.
    """
    chance = random.Random(SEED)
    people = [telegram.person(f"Person {number}") for number in range(PEOPLE)]
    folder = tmp_path / "site"
    folder.mkdir()
    site = Site(
        folder,
        telegram,
        {
            "authorized_users": [person.id or 0 for person in people],
            "telegram": {
                "order_rate": 1000,
                "queue_limit": 5000,
                "rates": {"chat_every": 0.2, "chat_burst": 5},
            },
            "workers": 8,
        },
    )
    lives = Lives(site)
    stream = Stream(people, chance)
    try:
        site.start_hermes()
        for fault in FAULTS:
            telegram.do("plan", times=None, **fault)
        reached = _die_often(lives, stream, chance)
        telegram.do("heal")
        # What was cut twice has a last try, after ten minutes; that long nobody waits here.
        last = lives.begin(patience=1)
        eventually(lambda: _is_settled(site, telegram, stream), "all is answered", 2 * PATIENCE_S)
        lives.stop(last)
        _balance(site, telegram, stream, lives, reached)
    except BaseException as error:
        error.add_note(f"GALAXY_KILLS={KILLS} GALAXY_SEED={SEED}")
        error.add_note("\n".join(lives.log.read_text(errors="replace").splitlines()[-30:]))
        raise
    finally:
        lives.close()
        site.stop_all()


def _die_often(lives: Lives, stream: Stream, chance: random.Random) -> Counter[str]:
    reached: Counter[str] = Counter()
    places = itertools.cycle(chance.sample(PLACES, len(PLACES)))
    begun = time.monotonic()
    writing = threading.Event()
    failures: list[Exception] = []

    def write() -> None:
        try:
            while not writing.wait(chance.uniform(0.05, 0.3)):
                stream.step()
        except Exception as error:  # noqa: BLE001 - told below, by the test's own thread
            failures.append(error)

    writer = threading.Thread(target=write, name="people")
    writer.start()
    try:
        for number in range(KILLS):
            place = next(places) if number % 2 else None
            pid = lives.begin(place=place, count=chance.choice((1, 1, 2)))
            life = chance.uniform(0.05, 0.6) if place is None else LONGEST_LIFE_S
            if lives.ends_by_itself(life):
                reached[place or "exit"] += 1
            else:
                lives.kill(pid)
                reached["any moment"] += 1
    finally:
        writing.set()
        writer.join()
    assert not failures
    doings = Counter(line["what"] for line in lives.trace())
    print(f"while they died: {dict(doings)}")
    print(f"{KILLS} lives in {time.monotonic() - begun:.0f} s, {len(stream.told)} orders")
    assert "exit" not in reached
    return reached


def _is_settled(site: Site, telegram: BotApiProcess, stream: Stream) -> bool:
    waiting = list(site.layout.outbox.glob("*.json"))
    if waiting or telegram.do("pending"):
        return False
    return _answered(telegram).keys() >= stream.told.keys()


def _answered(telegram: BotApiProcess) -> dict[str, list[str]]:
    """The texts of the answers, by the mark of their order."""
    found = defaultdict(list)
    for seen in telegram.sent():
        for mark in re.findall(r"order-\d{4}\.", seen.text):
            found[mark].append(seen.text)
    return found


def _balance(
    site: Site, telegram: BotApiProcess, stream: Stream, lives: Lives, reached: Counter[str]
) -> None:
    trace = lives.trace()
    _every_message_is_one_order(site, stream)
    repeats = _every_order_is_answered(site, telegram, stream, trace)
    _commands_are_answered(telegram, stream)
    holds = _no_flood_goes_on(telegram, trace)
    assert list(site.layout.outbox_undeliverable.glob("*.json")) == []
    faults = Counter(call["fault"] for call in telegram.do("calls") if call["fault"])
    print(f"{repeats} marked repeats, {holds} holds, faults {dict(faults)}")
    print(f"deaths {dict(sorted(reached.items()))}")
    assert sum(reached.values()) == KILLS


def _every_message_is_one_order(site: Site, stream: Stream) -> None:
    orders = [json.loads(path.read_bytes()) for path in site.layout.archive.glob("*.json")]
    marks = Counter(
        mark for order in orders for mark in re.findall(r"order-\d{4}\.", str(order["payload"]))
    )
    assert marks == Counter(stream.told.keys())
    pictures = Counter(
        Path(medium["path"]).read_bytes() for order in orders for medium in order.get("media", ())
    )
    assert pictures == Counter(stream.photos)
    submitted = site.trail("order_submitted")
    first = [line for line in submitted if not line.get("is_repeated")]
    assert {line["order_id"] for line in submitted} == {order["order_id"] for order in orders}
    assert max(Counter(line["order_id"] for line in first).values()) == 1
    assert site.trail("message_refused") == []


def _every_order_is_answered(
    site: Site, telegram: BotApiProcess, stream: Stream, trace: list[dict[str, Any]]
) -> int:
    """Balance the answers with what the lives could know; gives the number of repeats."""
    answered = _answered(telegram)
    assert answered.keys() == stream.told.keys()
    hidden: Counter[tuple[str, str, int]] = Counter()
    known: set[tuple[str, str, int]] = set()
    for line in trace:
        if line["what"] not in {"sending", "unknown", "failed", "sent", "recorded"}:
            continue
        part = (line["letter"], line["chat"], line["part"])
        match line["what"]:
            case "sending":
                assert part not in known, f"sent again though it had its receipt: {part}"
                assert line["is_repeat"] or not hidden[part], f"a repeat without mark: {part}"
                hidden[part] += 1  # until the outcome is known
            case "failed":
                hidden[part] -= 1
            case "recorded":
                known.add(part)
    assert max(hidden.values()) <= 3, "sent more often than three times"
    repeats = 0
    for mark, texts in answered.items():
        marked = [text for text in texts if MARK in text]
        assert len(texts) - len(marked) <= 1, (mark, texts)
        repeats += len(texts) - 1
    # The sending that had its receipt is no hidden one.
    assert repeats <= sum(count - 1 for count in hidden.values())
    delivered = Counter(
        line["order_id"]
        for line in site.trail("letter_delivered")
        if line["letter"].startswith("hermes-") and not line.get("is_repeated")
    )
    assert delivered
    assert max(delivered.values()) == 1
    return repeats


def _commands_are_answered(telegram: BotApiProcess, stream: Stream) -> None:
    for person in stream.people:
        texts = [seen.text for seen in telegram.sent(person.id) if "You are owner" in seen.text]
        whole = [text for text in texts if MARK not in text]
        asked = stream.commands[person.id or 0]
        assert len(whole) <= asked <= len(texts)


def _no_flood_goes_on(telegram: BotApiProcess, trace: list[dict[str, Any]]) -> int:
    """Nothing is written to a chat while it is held, in this life or a later one."""
    calls: dict[str, list[float]] = defaultdict(list)
    for call in telegram.do("calls"):
        if call["method"].lower() != "answercallbackquery":
            chat = str(call["arguments"].get("chat_id", ""))
            calls[chat].append(datetime.fromisoformat(call["at"]).timestamp())
    held = [line for line in trace if line["what"] == "held"]
    for line in held:
        end = datetime.fromisoformat(line["until"]).timestamp()
        early = [at for at in calls[line["chat"]] if line["at"] + 0.02 < at < end - 0.05]
        assert early == [], (line, early)
    return len(held)
