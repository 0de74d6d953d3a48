"""One run: a stream of orders at a steady pace, weighed as it goes, and a look when it is over."""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from attrs import define, field, frozen

from tests.endurance.gauge import Sample, below
from tests.endurance.people import Crowd
from tests.endurance.scene import AGENT, Scene, running_scene
from tests.endurance.verdict import Level, Tolerance, level

MOST_UNDER_WAY = 24
MEGABYTE = 1_000_000
QUIET_S = 1.0
HELD = ("memory", "handles", "threads", "watches", "tasks", "objects")
"""What is judged of each process."""
_FOR_GOOD = re.compile(
    r"""(
        \.galaxy/.*                            # settings, conversations
      | logs/galaxy-audit\.jsonl.*             # the part that grows, its head and lock
      | .*\.sqlite3(-wal|-shm|\.lock)?
      | .*heartbeat\.json
      | \.sisyphus/notepads/galaxy-outgoing/.* # one link for each conversation
      | \.sisyphus/notepads/\.galaxy-state/(alerts-|queue/workers/|gateway\.lock|control/\.lock).*
    )""",
    re.VERBOSE,
)
"""What lies there however long nobody says anything; none of it grows with the orders."""


LIMITS: Mapping[str, Tolerance] = {
    # Bytes.  Python's allocator and SQLite's caches go up and down by a megabyte or two.
    "memory": Tolerance(0.05, 3 * MEGABYTE),
    # Connections to Telegram and to SQLite are pooled: at rest there are a few more or less.
    "handles": Tolerance(0.0, 8),
    # Those of blocking calls come and go.
    "threads": Tolerance(0.0, 4),
    "tasks": Tolerance(0.0, 3),
    "watches": Tolerance(0.0, 1),
    "objects": Tolerance(0.03, 3_000),
    # A wave: it is tidied four times in a time of keeping.
    "files": Tolerance(0.25, 100),
    "bytes": Tolerance(0.25, 2 * MEGABYTE),
}
"""How much more the last third may hold than the middle one."""


@frozen(kw_only=True)
class Wish:
    """How the run is to be."""

    seed: int = 1
    orders: int = 2_000
    minutes: float = 15.0
    """The time over which they are given; a loaded machine may take longer, but at most twice."""
    people: int = 8
    sample_every: int = 100
    opencode: Path | None = None
    """The agent; None: the fake one."""
    limits: Mapping[str, Tolerance] = field(default=LIMITS)
    is_patient: bool = False
    """Whether a machine that is too busy for the pace may take as long as it needs."""
    judges_disk_level: bool = True
    """Whether the folder's size is judged as it goes, not only at the end."""

    @property
    def day_s(self) -> float:
        """How long a day of housekeeping lasts: there are eight in the run."""
        return max(6.0, self.minutes * 60 / 8)


@define
class Outcome:
    """What came of it."""

    wish: Wish
    seconds: float = 0.0
    samples: list[Sample] = field(factory=list)
    levels: list[Level] = field(factory=list)
    left_over: list[str] = field(factory=list)
    problems: list[str] = field(factory=list)
    facts: dict[str, object] = field(factory=dict)
    logs: str = ""

    @property
    def is_good(self) -> bool:
        """Whether all is level, and nothing is left."""
        return not self.problems and all(each.is_level for each in self.levels)


def run(folder: Path, wish: Wish) -> Outcome:
    """Run it in an empty folder; everything that it starts has ended when this returns."""
    outcome = Outcome(wish)
    with running_scene(
        folder, people=wish.people, opencode=wish.opencode, day_s=wish.day_s
    ) as scene:
        scene.wait_until_up()
        crowd, over = Crowd(scene, random.Random(wish.seed)), threading.Event()
        answering = threading.Thread(target=crowd.answer_until, args=(over,), daemon=True)
        answering.start()
        begun = time.monotonic()
        try:
            _work(scene, crowd, outcome, begun)
            if not at_rest(scene, wish.minutes * 60 + 60):
                problem = f"{scene.under_way()} things were still under way at the end"
                outcome.problems.append(problem)
        finally:
            over.set()
            answering.join()
        outcome.seconds = time.monotonic() - begun
        outcome.facts["orders"] = crowd.orders
        outcome.facts |= {f"orders: {kind}": number for kind, number in crowd.kinds.most_common()}
        _look_at_what_is_left(scene, outcome)
        _ask_for_proof(scene, crowd, outcome)
        outcome.levels = judge(outcome.samples, wish)
        if not outcome.is_good:
            outcome.logs = _tails(scene)
    return outcome


def _work(scene: Scene, crowd: Crowd, outcome: Outcome, begun: float) -> None:
    wish = outcome.wish
    every_s = wish.minutes * 60 / wish.orders
    last = begun + (20 if wish.is_patient else 2) * wish.minutes * 60
    next_sample = wish.sample_every
    while crowd.orders < wish.orders and time.monotonic() < last:
        due = (time.monotonic() - begun) / every_s
        under_way = scene.under_way()
        if crowd.orders <= due and under_way < MOST_UNDER_WAY:
            crowd.give()
        else:
            time.sleep(min(0.05, every_s))
        if crowd.orders >= next_sample:
            next_sample += wish.sample_every
            # At rest, so that what is open by chance at a moment of work does not count.
            at_rest(scene, wish.minutes * 60)
            sample = scene.sample(time.monotonic() - begun, crowd.orders)
            outcome.samples.append(sample)
            print(line_of(sample), flush=True)
    if crowd.orders < wish.orders:
        outcome.problems.append(f"only {crowd.orders} orders could be given in time")


def at_rest(scene: Scene, seconds: float) -> bool:
    """Wait until nothing is under way any more; whether that came to pass."""
    end, quiet_since = time.monotonic() + seconds, None
    while time.monotonic() < end:
        if scene.under_way():
            quiet_since = None
        elif quiet_since is None:
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since > QUIET_S:
            return True
        time.sleep(0.1)
    return False


def _look_at_what_is_left(scene: Scene, outcome: Outcome) -> None:
    """When all is over and old, the daemons have removed it."""
    end = time.monotonic() + 3 * outcome.wish.day_s + 60
    while time.monotonic() < end:
        outcome.left_over = sorted(
            name for name, _ in below(scene.folder) if not _is_for_good(name)
        )
        if not outcome.left_over:
            break
        time.sleep(0.5)
    else:
        names = ", ".join(outcome.left_over[:20])
        outcome.problems.append(f"{len(outcome.left_over)} files were left behind: {names}")
    sample = scene.sample(outcome.seconds, outcome.wish.orders)
    outcome.facts["files when all was old"] = sum(sample.files.values())
    outcome.facts["bytes when all was old"] = sum(sample.sizes.values())
    restarted = [d.name for d in scene.daemons if d.pid != scene.first_pids[d.name]]
    if restarted:
        outcome.problems.append(f"ended and was started again: {restarted}")


def _is_for_good(name: str) -> bool:
    is_ours = name.startswith((".galaxy/", ".sisyphus/", "logs/"))
    return not is_ours or _FOR_GOOD.fullmatch(name) is not None


def _ask_for_proof(scene: Scene, crowd: Crowd, outcome: Outcome) -> None:
    """The trail is whole, although most of it was removed, and every order was done once."""
    asked = scene.galaxy("audit", "verify", "--json")
    try:
        document = json.loads(asked.stdout)
    except ValueError:
        outcome.problems.append(f"verify said nothing: {asked.stderr[-300:]}")
        return
    proof = document["completeness"]
    outcome.problems += [str(fault) for fault in document["faults"]]
    outcome.problems += [gap["sentence"] for gap in proof["gaps"]]
    outcome.facts["lines left of the trail"] = document["lines"]
    last = scene.heartbeat("hermes")
    outcome.facts["orders processed, as Hermes says"] = last.get("orders_processed")
    outcome.facts["orders failed, as Hermes says"] = last.get("failure_count")
    if last.get("orders_processed") != crowd.orders:
        outcome.problems.append(f"Hermes has done {last.get('orders_processed')} orders")


# ---- the verdict


def judge(samples: list[Sample], wish: Wish) -> list[Level]:
    """Compare the last third with the middle one, for each process and for the disk."""
    levels = []
    names = sorted({name for sample in samples for name in sample.processes} - {AGENT})
    for name in names:
        seen = [sample.processes[name] for sample in samples if name in sample.processes]
        for what in HELD:
            row = [float(getattr(each, what)) for each in seen]
            levels.append(level(f"{name}: {what}", row, wish.limits[what]))
    if wish.judges_disk_level:
        files = [float(sum(sample.files.values())) for sample in samples]
        sizes = [float(sum(sample.sizes.values())) for sample in samples]
        levels.append(level("disk: files", files, wish.limits["files"]))
        levels.append(level("disk: bytes", sizes, wish.limits["bytes"]))
    return levels


def line_of(sample: Sample) -> str:
    """One sample in a line."""
    parts = [
        f"{name} {held.memory / MEGABYTE:.1f} MB {held.handles} fd {held.threads} th"
        f" {held.watches} w {held.tasks} tasks {held.objects} obj"
        for name, held in sample.processes.items()
    ]
    files, size = sum(sample.files.values()), sum(sample.sizes.values()) / MEGABYTE
    disk = f"{files} files {size:.1f} MB"
    return f"{sample.at_s:5.0f} s {sample.orders:5} | {' | '.join(parts)} | {disk}"


def _tails(scene: Scene) -> str:
    return "\n".join(
        f"--- {daemon.name}\n{daemon.log.read_text(errors='replace')[-3000:]}"
        for daemon in scene.daemons
    )
