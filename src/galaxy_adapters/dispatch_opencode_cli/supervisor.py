"""Keeps one agent's process tree together, and ends all of it when its caller is gone.

A program of its own, started as `python -I -S supervisor.py CONTROL_FD GRACE_SECONDS -- COMMAND`,
standard library only.  Between Hermes and opencode it closes three gaps:

* Hermes may be killed with -9.  `CONTROL_FD` is the reading end of a pipe whose other end only
  Hermes holds: the kernel closes it with Hermes, and its end is the order to stop.
* opencode's shell tool begins a process session of its own, so neither a signal to a process group
  nor opencode's death reaches it.  As subreaper (Linux) this process inherits every orphan, and
  goes only when it has no descendants left.
* Standard error may be endless: only its newest end is kept, and written out at the end.

The agent is killed by the kernel when this process is killed (Linux); what then remains of its
tools carries Hermes' marker in its environment.  Ends with the agent's exit code, 128 + number for
a signal, as a shell does.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

_STDERR_TAIL = 16_384
"""Bytes; less than a pipe holds, so that writing them at the end never blocks."""
_POLL_SECONDS = 0.02
_KILL_ROUNDS_SECONDS = 5.0
"""How long killed processes may take to go (a disk wait); after that they are left."""
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_IS_LINUX = sys.platform == "linux"


def main(arguments: list[str]) -> int:
    """Supervise one command; gives the exit code."""
    control, grace = int(arguments[0]), float(arguments[1])
    command = arguments[3:]
    if _IS_LINUX:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    # Only the kernel's KILL ends this process early: it has work to do after the agent's end.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    agent = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=_before_the_agent,  # noqa: PLW1509 - there are no threads here
    )
    # The end of the agent's output must be seen by whoever reads it: keep no copy open.
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    tail = _watch(agent, control)
    _end_descendants(grace)
    agent.wait()
    with contextlib.suppress(BrokenPipeError):  # nobody is there to read it
        os.write(2, tail)
    return agent.returncode if agent.returncode >= 0 else 128 - agent.returncode


def _before_the_agent() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    if _IS_LINUX:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _watch(agent: subprocess.Popen[bytes], control: int) -> bytes:
    """Wait for the agent's end or the caller's; gives the end of its standard error."""
    stderr = agent.stderr.fileno() if agent.stderr else -1
    os.set_blocking(stderr, False)
    poller = select.poll()
    poller.register(control, select.POLLIN)
    poller.register(stderr, select.POLLIN)
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    poller.register(woken, select.POLLIN)
    signal.set_wakeup_fd(wakes)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    tail = b""
    while agent.poll() is None:
        ready = {descriptor for descriptor, _ in poller.poll()}
        if stderr in ready:
            more = _read(stderr)
            tail = (tail + more)[-_STDERR_TAIL:]
            if not more:
                poller.unregister(stderr)
        if control in ready:
            break
        if woken in ready:
            os.read(woken, 4096)
            _reap(agent.pid)
    return (tail + _read(stderr))[-_STDERR_TAIL:]


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except BlockingIOError:
        return b""


def _reap(agent: int) -> None:
    """Let orphans that have ended go; the agent itself is waited for elsewhere."""
    if not _IS_LINUX:
        return  # nobody else's children come here
    options = os.WEXITED | os.WNOHANG | os.WNOWAIT
    while (ended := os.waitid(os.P_ALL, 0, options)) is not None and ended.si_pid != agent:
        os.waitpid(ended.si_pid, 0)


def _end_descendants(grace: float) -> None:
    """TERM, wait, KILL, until nobody is left."""
    deadline = time.monotonic() + grace
    asked: set[int] = set()
    while left := _descendants():
        if time.monotonic() >= deadline:
            break
        for pid in left - asked:
            _signal(pid, signal.SIGTERM)
        asked |= left
        time.sleep(_POLL_SECONDS)
    deadline = time.monotonic() + _KILL_ROUNDS_SECONDS
    while (left := _descendants()) and time.monotonic() < deadline:
        for pid in left:
            _signal(pid, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _descendants() -> set[int]:
    """Children, their children and so on, that have not ended; reaps those that have."""
    parents = _linux_parents() if _IS_LINUX else _other_parents()
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in parents.items():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    waiting = list(children.get(os.getpid(), []))
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, [])
    return {pid for pid in found if not parents[pid][1]}


def _linux_parents() -> dict[int, tuple[int, bool]]:
    """Of every process: its parent, and whether it has ended and only waits to be reaped."""
    found: dict[int, tuple[int, bool]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - hundreds of names, many times a second
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123 - as above
                stat = file.read()
        except OSError:
            continue
        # The command, in parentheses, may hold anything; state and parent follow it.
        state, parent = stat[stat.rindex(b")") + 2 :].split()[:2]
        found[int(name)] = (int(parent), state in (b"Z", b"X"))
    return found


def _other_parents() -> dict[int, tuple[int, bool]]:
    listed = subprocess.run(
        ["/bin/ps", "-axo", "pid=,ppid=,state="], capture_output=True, text=True, check=False
    )
    rows = (line.split() for line in listed.stdout.splitlines())
    own = os.getpid()
    return {
        int(pid): (int(parent), state.startswith("Z"))
        for pid, parent, state in rows
        if int(pid) != own
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
