"""The storm: for each part a lane of its own in which trouble follows trouble, seeded.

A lane waits until its part is well again before it goes on, and notes how long that took; so every
time in the report is one that was waited for.  The lanes run side by side: while Hermes is dead,
the gateway is frozen and the agent is killed.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial

from attrs import define, field

from tests.chaos import cutting
from tests.chaos.keeper import Daemon
from tests.chaos.people import Crowd
from tests.chaos.scene import Scene
from tests.chaos.times import Times

LOOK_EVERY_S = 0.02
BACK_WITHIN_S = 120.0
"""What is not well after that is a finding, and ends the storm."""
CALLS = (
    ("fsync", "EIO"),
    ("fdatasync", "EIO"),
    ("fsync", "ENOSPC"),
    ("rename,renameat,renameat2", "EIO"),
    ("link,linkat", "ENOSPC"),
    ("unlink,unlinkat", "EIO"),
    ("ftruncate,pwrite64", "ENOSPC"),
)
"""System calls that are made to fail, and how."""
NETWORK: tuple[Mapping[str, object], ...] = (
    {"kind": "flood", "method": "sendMessage", "probability": 0.04, "retry_after": 1},
    {"kind": "flood", "method": "editMessageText", "probability": 0.05, "retry_after": 2},
    {"kind": "error", "method": "sendMessage", "probability": 0.02},
    {"kind": "html", "method": "sendMessage", "probability": 0.01},
    {"kind": "cut_before", "method": "sendMessage", "probability": 0.02},
    {"kind": "cut_after", "method": "sendMessage", "probability": 0.02},
    {"kind": "cut_body", "method": "sendMessage", "probability": 0.01},
    {"kind": "redeliver", "method": "getUpdates", "probability": 0.10, "count": 5},
    {"kind": "reorder", "method": "getUpdates", "probability": 0.30},
    {"kind": "cut_before", "method": "getUpdates", "probability": 0.04},
    {"kind": "error", "method": "getUpdates", "probability": 0.04},
)
"""What the way to Telegram does all the time."""
OFF_BY_S = (-600.0, -120.0, -20.0, -3.0, 0.0, 0.0, 3.0, 20.0, 120.0, 600.0)
"""How far the gateway's clock is off after a step; so much below `stale_after` that no message is
too old."""
STEPS_S, MOST_FORWARD_S = (-10.0, -5.0, -2.0, -0.5, 0.5, 2.0, 5.0, 20.0), 600.0
"""Steps of the clock of Hermes and opencode, and where those forward end."""
MOST_BACK_S = 10.0
"""How far it goes back behind where it has been: an opencode that is started then knows nothing of
it, and every conversation waits until its clock has caught up."""
BOTH = ", and hermes frozen for good"
"""Goes with the name of trouble at the agent whose Hermes could not see it."""
Trouble = Callable[[random.Random], None]


class NotBack(Exception):
    """A part did not come back in time."""


@define(eq=False)
class Storm:
    """Makes trouble until it has killed as often as it should, or its time is over."""

    scene: Scene
    crowd: Crowd
    seed: int
    kills: int
    until: float
    """When it ends at the latest (monotonic)."""
    has_long_freezes: bool = True
    can_cut: bool = False
    """Whether connections can be cut."""
    times: Times = field(factory=Times, init=False)
    done: Counter[str] = field(factory=Counter, init=False)
    killed: int = field(default=0, init=False)
    failures: list[str] = field(factory=list, init=False)
    ballast_s: float = field(default=0.0, init=False)
    """For how long the disk was full."""
    is_cut_short: bool = field(default=False, init=False)
    """Whether somebody wants it to end now, with what there is."""
    _furthest_s: float = field(default=0.0, init=False)
    """How far forward the clock of Hermes and opencode has been."""
    _frozen: list[list[float]] = field(factory=list, init=False)
    """From when until when Hermes was frozen for good; the last one may have no end yet."""
    _over: threading.Event = field(factory=threading.Event, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _strace: str | None = field(factory=lambda: shutil.which("strace"), init=False)

    def run(self) -> None:
        """Rage; returns when all lanes have ended and everything that was held is let go."""
        if self._strace is None:
            self.scene.skipped.append("EIO and ENOSPC at single calls: strace is not installed")
        for fault in NETWORK:
            self.scene.telegram.do("plan", times=None, **fault)
        scene = self.scene
        lanes = [
            self._lane("gateway", self._at_daemon(scene.gateway), 0.25),
            self._lane("hermes", self._at_daemon(scene.hermes), 3.5),
            self._lane("network", self._at_network(), 1.0),
            self._lane("files", self._at_files(), 1.0),
        ]
        if scene.has_agent:
            lanes.append(self._lane("opencode", self._at_agent(), 15.0))
            if self.can_cut:
                cuts: list[tuple[int, str, Trouble]] = [(1, "connections cut", self._cut)]
                lanes.append(self._lane("lines to opencode", cuts, 8.0))
        if scene.clocks is not None:
            steps: list[tuple[int, str, Trouble]] = [(1, "set", self._set_clock)]
            lanes.append(self._lane("clock", steps, 3.0))
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
        self.scene.telegram.do("heal")

    @property
    def is_over(self) -> bool:
        """Whether no new trouble begins."""
        return self._over.is_set()

    def cut_short(self) -> None:
        """End it now: no new trouble, no more orders; what was given is still looked after."""
        self.is_cut_short = True
        self._over.set()

    @property
    def progress(self) -> float:
        """How much of it has passed, from 0 to 1."""
        return min(1.0, self.killed / self.kills) if self.kills else 1.0

    def wait(self, seconds: float) -> bool:
        """Wait so long or until it is over; whether it is."""
        return self._over.wait(min(seconds, max(0.0, self.until - time.monotonic())))

    # ---- lanes

    def _lane(
        self, name: str, troubles: list[tuple[int, str, Trouble]], pause_s: float
    ) -> threading.Thread:
        """Trouble after trouble, with about that pause between.

        An agent that needs seconds to start would else never be there, and nothing be under way
        that could be broken.
        """
        # A generator for each lane: what one of them draws does not depend on the others' pace.
        chance = random.Random(f"{self.seed}-{name}")

        def follow() -> None:
            weights = [weight for weight, _, _ in troubles]
            try:
                while not self._is_ended(chance.uniform(0.2, 1.8) * pause_s):
                    _, kind, trouble = chance.choices(troubles, weights)[0]
                    trouble(chance)
                    with self._lock:
                        self.done[f"{name}: {kind}"] += 1
            except Exception as error:  # noqa: BLE001 - told at the end, and fails the run
                self.failures.append(f"{name}: {type(error).__name__}: {error}")
                self._over.set()

        return threading.Thread(target=follow, name=f"storm-{name}", daemon=True)

    def _is_ended(self, seconds: float) -> bool:
        self.wait(seconds)
        if self.killed >= self.kills or time.monotonic() >= self.until:
            self._over.set()
        return self._over.is_set()

    def _count_kill(self) -> None:
        with self._lock:
            self.killed += 1

    def _until(self, condition: Callable[[], bool], what: str) -> float:
        """Wait for it; when it came (monotonic)."""
        end = time.monotonic() + BACK_WITHIN_S
        while not condition():
            if time.monotonic() > end:
                raise NotBack(what)
            time.sleep(LOOK_EVERY_S)
        return time.monotonic()

    # ---- the daemons

    def _at_daemon(self, daemon: Daemon) -> list[tuple[int, str, Trouble]]:
        troubles: list[tuple[int, str, Trouble]] = [
            (84, "kill -9", lambda chance: self._kill(daemon)),
            (8, "frozen and thawed", lambda chance: self._freeze(daemon, chance)),
        ]
        if self.has_long_freezes:
            troubles.append((3, "frozen for good", lambda chance: self._freeze_for_good(daemon)))
        if self._strace is not None:
            troubles.append((8, "failing calls", lambda chance: self._fail(daemon, chance)))
        return troubles

    def _kill(self, daemon: Daemon) -> None:
        began = time.monotonic()
        pid = daemon.signal(signal.SIGKILL)
        if pid is None:
            return
        self._count_kill()
        noticed = self._until(lambda: daemon.ended_at >= began, f"{daemon.name}'s end is noticed")
        back = self._until_back(daemon, pid)
        self.times.add(f"{daemon.name} killed", noticed - began, back - began)

    def _freeze(self, daemon: Daemon, chance: random.Random) -> None:
        seconds = chance.choice((0.2, 1.0, 3.0, 5.0))
        if daemon.signal(signal.SIGSTOP) is None:
            return
        self.wait(seconds)
        before = self.scene.heartbeat(daemon).get("last_heartbeat_at")
        began = time.monotonic()
        daemon.signal(signal.SIGCONT)
        back = self._until(
            lambda: self.scene.heartbeat(daemon).get("last_heartbeat_at") != before,
            f"{daemon.name} beats again",
        )
        self.times.add(f"{daemon.name} thawed", None, back - began)

    def _freeze_for_good(self, daemon: Daemon) -> None:
        began = time.monotonic()
        pid = daemon.signal(signal.SIGSTOP)
        if pid is None:
            return
        window = [began]
        if daemon is self.scene.hermes:
            self._frozen.append(window)
        noticed = self._until(lambda: daemon.ended_at >= began, f"{daemon.name}'s watchdog fires")
        window.append(noticed)
        self._count_kill()
        back = self._until_back(daemon, pid)
        self.times.add(f"{daemon.name} frozen for good", noticed - began, back - began)

    def _fail(self, daemon: Daemon, chance: random.Random) -> None:
        """Let calls of a daemon fail for a moment; whatever it does, it is well again after."""
        calls, error = chance.choice(CALLS)
        first, every = chance.randrange(1, 5), chance.choice(("", "+", "+3"))
        pid = daemon.pid
        if pid is None or self._strace is None:
            return
        words = [self._strace, "-f", "-qq", "-o", os.devnull, "-p", str(pid)]
        words += ["-e", f"trace={calls}", "-e", f"inject={calls}:error={error}:when={first}{every}"]
        tracer = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.wait(chance.uniform(0.5, 2.0))
        before = self.scene.heartbeat(daemon).get("last_heartbeat_at")
        began = time.monotonic()
        tracer.send_signal(signal.SIGINT)
        try:
            tracer.wait(10)
        except subprocess.TimeoutExpired:
            tracer.kill()
            tracer.wait()
        back = self._until(
            lambda: self.scene.heartbeat(daemon).get("last_heartbeat_at") != before,
            f"{daemon.name} beats after failing {calls}",
        )
        self.times.add(f"{daemon.name}: calls failed", None, back - began)

    def _until_back(self, daemon: Daemon, old: int) -> float:
        def is_back() -> bool:
            beat = self.scene.heartbeat(daemon)
            return beat.get("pid") not in {None, old} and beat.get("status") == "running"

        return self._until(is_back, f"{daemon.name} beats again")

    # ---- the agent

    def _at_agent(self) -> list[tuple[int, str, Trouble]]:
        troubles: list[tuple[int, str, Trouble]] = [
            (75, "kill -9", partial(self._end_agent, signal.SIGKILL, "opencode killed")),
            (20, "frozen and thawed", self._freeze_agent),
        ]
        if self.has_long_freezes:
            hang = partial(self._end_agent, signal.SIGSTOP, "opencode hung")
            troubles.append((5, "hung", hang))
        return troubles

    def _agent(self, chance: random.Random) -> tuple[str, int]:
        """Name and process of a server that has listened for a while: it has work by then."""
        self._until(lambda: bool(self.scene.server().get("url")), "opencode listens")
        self.wait(chance.uniform(1.0, 8.0))
        self._until(lambda: bool(self.scene.server().get("url")), "opencode listens")
        state = self.scene.server()
        return str(state.get("server_id")), int(state.get("pid") or 0)

    def _end_agent(self, number: signal.Signals, kind: str, chance: random.Random) -> None:
        name, pid = self._agent(chance)
        began = time.monotonic()
        if not _signalled(pid, number):
            return
        if number is signal.SIGKILL:
            self._count_kill()
        noticed = self._until(
            lambda: self.scene.server().get("server_id") != name, "opencode's end is noticed"
        )
        back = self._until(lambda: bool(self.scene.server().get("url")), "opencode listens again")
        if any(window[0] < noticed and window[-1] > began for window in self._frozen):
            kind += BOTH
        self.times.add(kind, noticed - began, back - began)

    def _cut(self, chance: random.Random) -> None:
        """Cut every connection to the agent; it and Hermes live on, or die of something else."""
        name, _ = self._agent(chance)
        url = str(self.scene.server().get("url"))
        port = int(url.rpartition(":")[2])
        began = time.monotonic()
        cutting.cut(port)
        back = self._until(
            lambda: self.scene.server().get("server_id") != name or cutting.is_connected(port),
            "Hermes is connected to opencode again",
        )
        if self.scene.server().get("server_id") == name:
            self.times.add("connections to opencode cut", None, back - began)

    # ---- the clock

    def _set_clock(self, chance: random.Random) -> None:
        if self.scene.clocks is None:
            return
        of_gateway, of_hermes = self.scene.clocks
        of_gateway.set_to(chance.choice(OFF_BY_S))
        to = of_hermes.off_by_s + chance.choice(STEPS_S)
        if max(0.0, self._furthest_s - MOST_BACK_S) <= to <= MOST_FORWARD_S:
            if to < of_hermes.off_by_s:
                self.done["clock: set back under the agent"] += 1
            self._furthest_s = max(self._furthest_s, to)
            of_hermes.set_to(to)

    def _freeze_agent(self, chance: random.Random) -> None:
        _, pid = self._agent(chance)
        if _signalled(pid, signal.SIGSTOP):
            self.wait(chance.choice((0.2, 1.0, 3.0)))
            _signalled(pid, signal.SIGCONT)

    # ---- the network and the disk

    def _at_network(self) -> list[tuple[int, str, Trouble]]:
        return [
            (3, "429 for all", lambda chance: self._burst(kind="flood", retry_after=2, times=10)),
            (3, "5xx for all", lambda chance: self._burst(kind="error", times=20)),
            (2, "an answer lost", lambda chance: self._burst(kind="hang_after", times=1)),
            (3, "everything again", lambda chance: self.scene.telegram.do("redeliver", count=50)),
        ]

    def _burst(self, **fault: object) -> None:
        self.scene.telegram.do("plan", **fault)
        self.wait(4.0)

    def _at_files(self) -> list[tuple[int, str, Trouble]]:
        troubles: list[tuple[int, str, Trouble]] = [
            (4, "a torn order", lambda chance: self._tear()),
        ]
        if self.scene.has_disk:
            troubles.append((1, "full disk", self._fill))
        return troubles

    def _tear(self) -> None:
        self.crowd.tear()
        self.wait(8.0)

    def _fill(self, chance: random.Random) -> None:
        ballast = self.scene.folder / "ballast"
        began = time.monotonic()
        try:
            with ballast.open("wb", buffering=0) as file:
                try:
                    while file.write(b"\0" * 65536):
                        pass
                except OSError:
                    pass  # full, which is what was wanted
            self.wait(chance.uniform(0.5, 4.0))
        finally:
            ballast.unlink()
            self.ballast_s += time.monotonic() - began


def _signalled(pid: int, number: signal.Signals) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
