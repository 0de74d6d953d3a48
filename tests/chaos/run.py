"""One run: start everything, let the storm rage, wait until it is quiet, balance the books."""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from attrs import define, field, frozen

from tests.chaos import cutting
from tests.chaos.balance import Books, balance, drained
from tests.chaos.keeper import Daemon
from tests.chaos.people import Crowd
from tests.chaos.scene import Scene, running_scene
from tests.chaos.storm import BOTH, Storm

DETECTION_S, RECOVERY_S = 15.0, 60.0
"""What worst times are measured by."""
START_WITHIN_S = 60.0
TELL_EVERY_S = 30.0


@frozen(kw_only=True)
class Wish:
    """How the run is to be."""

    seed: int = 1
    orders: int = 300
    kills: int = 150
    minutes: float = 8.0
    drain_minutes: float = 5.0
    people: int = 6
    opencode: Path | None = None
    """The agent; None: the built-in one, which asks no model."""
    with_disk: bool = True
    has_long_freezes: bool = True


@define
class Outcome:
    """What came of it."""

    wish: Wish
    books: Books
    storm: Storm
    storm_s: float
    drain_s: float | None
    skipped: list[str]
    exits: list[str]
    logs: str = ""
    problems: list[str] = field(factory=list)

    @property
    def is_good(self) -> bool:
        """Whether all is as promised."""
        return self.books.is_balanced and not self.problems

    def report(self) -> list[str]:
        """For people."""
        wish, storm = self.wish, self.storm
        agent = "opencode" if wish.opencode else "the built-in agent"
        drain = "it never was" if self.drain_s is None else f"{self.drain_s:.0f} s after it"
        counted = f"{storm.killed} kills over {self.books.facts['orders']} orders"
        return [
            f"seed {wish.seed}, {agent}: {counted} in {self.storm_s:.0f} s; all was quiet {drain}",
            *self.books.lines(),
            f"disk full for {storm.ballast_s:.1f} s",
            *(f"trouble: {kind}: {number}" for kind, number in sorted(storm.done.items())),
            *self.exits,
            *(f"SKIPPED: {text}" for text in self.skipped),
            *(["CUT SHORT: somebody ended the storm early"] * storm.is_cut_short),
            *(f"PROBLEM: {text}" for text in self.problems),
            "",
            *storm.times.table(),
            "",
            "all is as promised"
            if self.is_good
            else f"NOT as promised: repeat with {replay(wish)}",
        ]


def replay(wish: Wish) -> str:
    """The arguments that repeat a run."""
    words = f"--seed {wish.seed} --orders {wish.orders} --kills {wish.kills}"
    return f"{words} --minutes {wish.minutes:g}" + (" --agent scripted" * (wish.opencode is None))


def run(
    folder: Path,
    wish: Wish,
    *,
    watch_for_end: Callable[[Callable[[], None]], None] = lambda _: None,
) -> Outcome:
    """Run it in an empty folder; everything that it starts has ended when this returns.

    `watch_for_end` is given what ends the storm early; the books are balanced all the same.
    """
    with running_scene(
        folder,
        people=wish.people,
        opencode=wish.opencode,
        with_disk=wish.with_disk,
        seed=wish.seed,
    ) as scene:
        _wait_until_up(scene)
        crowd = Crowd(scene, random.Random(f"{wish.seed}-people"))
        begun = time.monotonic()
        storm = Storm(
            scene,
            crowd,
            seed=wish.seed,
            kills=wish.kills,
            until=begun + wish.minutes * 60,
            has_long_freezes=wish.has_long_freezes,
            can_cut=cutting.can_cut(),
        )
        if not storm.can_cut:
            scene.skipped.append("connections cut: `ss -K` is not there, or not allowed")
        watch_for_end(storm.cut_short)
        writer = threading.Thread(
            target=_give, args=(crowd, storm, wish, begun), name="people", daemon=True
        )
        writer.start()
        storm.run()
        writer.join()
        storm_s = time.monotonic() - begun
        drain_s = drained(scene, crowd, wish.drain_minutes * 60)
        outcome = Outcome(
            wish=wish,
            books=balance(scene, crowd),
            storm=storm,
            storm_s=storm_s,
            drain_s=drain_s,
            skipped=scene.skipped,
            exits=[_exits(daemon.name, dict(daemon.exits)) for daemon in _daemons(scene)],
            problems=list(storm.failures),
        )
        _judge(outcome, scene)
        if not outcome.is_good:
            _keep(scene, folder)
        return outcome


def _give(crowd: Crowd, storm: Storm, wish: Wish, begun: float) -> None:
    """Give the orders in step with the storm, and the rest of them when it is over."""
    try:
        told_at = begun
        while len(crowd.told) < wish.orders and not storm.is_cut_short:
            if time.monotonic() - told_at > TELL_EVERY_S:
                told_at = time.monotonic()
                ended = sum(1 for _ in crowd.scene.layout.archive.glob("*.json"))
                detected, recovered = storm.times.worst()
                print(
                    f"{told_at - begun:4.0f} s: {storm.killed} kills, {len(crowd.told)} orders, "
                    f"{ended} ended; worst {detected:.1f} s noticed, {recovered:.1f} s recovered",
                    flush=True,
                )
            passed = (time.monotonic() - begun) / (wish.minutes * 60)
            due = wish.orders * max(storm.progress, passed)
            if storm.is_over or len(crowd.told) <= due:
                crowd.give(time.sleep)
            time.sleep(0.02)
    except Exception as error:  # noqa: BLE001 - told at the end, and fails the run
        storm.failures.append(f"people: {type(error).__name__}: {error}")


def _wait_until_up(scene: Scene) -> None:
    end = time.monotonic() + START_WITHIN_S
    while not all(scene.heartbeat(each).get("status") == "running" for each in _daemons(scene)):
        if time.monotonic() > end or any(each.is_final for each in _daemons(scene)):
            raise RuntimeError("gateway and Hermes do not come up:\n" + _tails(scene))
        time.sleep(0.1)


def _judge(outcome: Outcome, scene: Scene) -> None:
    times = outcome.storm.times
    _, recovered = times.worst()
    detected, _ = times.worst(lambda kind: not kind.endswith(BOTH))
    if outcome.drain_s is None:
        outcome.problems.append("it did not become quiet again")
    unseen, _ = times.worst(lambda kind: kind.endswith(BOTH))
    if unseen > 2 * DETECTION_S:
        outcome.problems.append(f"trouble{BOTH}, was noticed after {unseen:.1f} s only")
    if detected > DETECTION_S:
        outcome.problems.append(f"trouble was noticed after {detected:.1f} s only")
    if recovered > RECOVERY_S:
        outcome.problems.append(f"it took {recovered:.1f} s until a part was back")
    outcome.problems += [
        f"{daemon.name} ended for good: {dict(daemon.exits)}"
        for daemon in _daemons(scene)
        if daemon.is_final
    ]
    if not outcome.is_good:
        outcome.logs = _tails(scene)


def _daemons(scene: Scene) -> tuple[Daemon, Daemon]:
    return scene.gateway, scene.hermes


def _exits(name: str, exits: dict[int, int]) -> str:
    counted = ", ".join(f"{code}: {number}" for code, number in sorted(exits.items()))
    return f"exits of {name}: {counted}"


def _tails(scene: Scene) -> str:
    return "\n".join(
        f"--- {daemon.name}\n{daemon.log.read_text(errors='replace')[-3000:]}"
        for daemon in (scene.gateway, scene.hermes)
    )


def _keep(scene: Scene, folder: Path) -> None:
    """Copy what a look at a failure needs; its own disk is about to go."""
    kept = folder / "kept"
    kept.mkdir(exist_ok=True)
    chats = [
        f"{seen.chat_id} {seen.message_id} {seen.reply_to} {seen.edits} {seen.text!r}\n"
        for seen in scene.telegram.sent()
    ]
    (kept / "chats.txt").write_text("".join(chats), encoding="utf-8")
    for name in ("logs", ".sisyphus"):
        place = scene.folder / name
        if place.exists():
            shutil.copytree(place, kept / name, dirs_exist_ok=True, symlinks=True)
