"""`python -m tests.faults.queue_injector FOLDER FAULT [EVERY [KIND]]`: faults at system calls.

Runs `queue_cycle.cycle` again and again, each time in a forked child on a fresh copy of a
prepared folder, with the fault at the next call that changes files; then recovers and checks.
Prints one JSON object: how many points there were, and what was found wrong.

Faults: `kill` (SIGKILL before the call), `torn` (half of a write, then SIGKILL), or the name of
an error number (`EIO`, `ENOSPC`): the call fails with it, once, and the worker goes on.

KIND `in-order` takes the disk for one that commits names in order: other calls are made then.
"""

import errno
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio

from galaxy_adapters._files import durable, rename
from tests.faults import queue_cycle

CALLS = ("write", "pwrite", "fsync", "rename", "link", "symlink", "mkdir", "unlink", "rmdir")
_NOT_REACHED = 77
_FAILED = 78


def inject(fault: str, at: int) -> Callable[[], int]:
    """Wrap every call that changes files; the number of calls so far."""
    calls = 0

    def wrap(call: Callable[..., Any], name: str) -> Callable[..., Any]:
        @functools.wraps(call)
        def wrapped(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - the call's own
            nonlocal calls
            calls += 1
            if calls == at:
                return strike(call, name, args)
            return call(*args, **options)

        return wrapped

    def strike(call: Callable[..., Any], name: str, args: tuple[Any, ...]) -> Any:  # noqa: ANN401
        if fault in {"kill", "torn"}:
            if fault == "torn" and name == "write":
                call(args[0], args[1][: len(args[1]) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        number = getattr(errno, fault)
        if name == "renameat2":
            return number
        raise OSError(number, os.strerror(number))

    for name in CALLS:
        setattr(os, name, wrap(getattr(os, name), name))
    durable.write_out = wrap(durable.write_out, "write_out")  # type: ignore[attr-defined]
    found = rename._find_renameat2()
    if found is not None:
        wrapped = wrap(found, "renameat2")
        rename._find_renameat2 = lambda: wrapped  # type: ignore[assignment]
    return lambda: calls


def in_child(work: Callable[[], int]) -> int:
    """Run it in a forked child; its exit code, negative for a signal."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = work()
        except BaseException:  # noqa: BLE001 - a child may not return into its parent's code
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def one_point(template: Path, fault: str, at: int) -> tuple[bool, list[str]]:
    """Play one life with one fault: whether the fault was reached, and what was found wrong."""
    with tempfile.TemporaryDirectory(dir=template.parent) as scratch:
        folder = Path(scratch, "copy")
        subprocess.run(["cp", "-a", template, folder], check=True)  # keeps hard links
        report = os.open(Path(scratch, "said"), os.O_RDWR | os.O_CREAT | os.O_APPEND)

        def live() -> int:
            count = inject(fault, at)
            anyio.run(queue_cycle.cycle, folder, queue_cycle.say_on(report))
            return _NOT_REACHED if count() < at else 0

        code = in_child(live)
        text = Path(scratch, "said").read_text("utf-8")
        said = [tuple(json.loads(line)) for line in text.splitlines()]
        wrong: list[str] = []
        if code not in {0, -signal.SIGKILL, _NOT_REACHED}:
            wrong.append(f"the worker fell over ({code})")

        def recover() -> int:
            for problem in anyio.run(queue_cycle.check, folder, said):
                os.writev(report, [json.dumps(["wrong", problem]).encode() + b"\n"])
            return 0

        if in_child(recover) != 0:
            wrong.append("recovery fell over")
        os.close(report)
        lines = Path(scratch, "said").read_text("utf-8").splitlines()[len(said) :]
        wrong += [json.loads(line)[1] for line in lines]
        return code != _NOT_REACHED, [f"{fault} at call {at}: {problem}" for problem in wrong]


async def _prepared(template: Path) -> int:
    await queue_cycle.prepare(template)
    return 0


def main(folder: str, fault: str, every: str = "1", kind: str = "") -> None:
    """Go through all points, or every so many of them."""
    durable.commits_in_order = lambda _folder: kind == "in-order"  # type: ignore[assignment, attr-defined]
    template = Path(folder, "template")
    template.mkdir()
    in_child(lambda: anyio.run(_prepared, template))
    wrong: list[str] = []
    points = 0
    at = 1
    while True:
        is_reached, found = one_point(template, fault, at)
        wrong += found
        if not is_reached:
            break
        points += 1
        at += int(every)
    print(json.dumps({"points": points, "calls": at, "wrong": wrong}))


if __name__ == "__main__":
    main(*sys.argv[1:])
