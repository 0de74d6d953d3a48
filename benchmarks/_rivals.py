"""Queues that people would take instead: `python -m benchmarks._rivals NAME COUNT` stores some.

The command exists to be run under strace, which is how the syncs of a library in C are counted.
"""

from __future__ import annotations

import mailbox
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import litequeue  # type: ignore[import-untyped]
import persistqueue
from huey.storage import FileStorage  # type: ignore[import-untyped]

Store = Callable[[bytes], object]
COUNTED = 20


def maildir(folder: Path) -> Store:
    """Python's own mailbox."""
    return mailbox.Maildir(folder / "maildir", create=True).add


def persist_queue(folder: Path) -> Store:
    """persist-queue over SQLite, the kind that has acknowledgements."""
    return persistqueue.SQLiteAckQueue(str(folder / "persist"), auto_commit=True).put


def huey_file(folder: Path) -> Store:
    """huey's file store."""
    store: Store = FileStorage("bench", str(folder / "huey")).enqueue
    return store


def lite_queue(folder: Path) -> Store:
    """litequeue over SQLite."""
    queue = litequeue.LiteQueue(str(folder / "lite.db"))
    return lambda data: queue.put(data.decode())


RIVALS: dict[str, Callable[[Path], Store]] = {
    "mailbox.Maildir": maildir,
    "persist-queue": persist_queue,
    "huey, file store": huey_file,
    "litequeue": lite_queue,
}


def syncs_for_each(name: str) -> float | None:
    """Syncs before it says that an order is stored, as the kernel saw them; None: no strace."""
    if shutil.which("strace") is None:
        return None
    none, some = (_syncs(name, count) for count in (1, 1 + COUNTED))
    return None if none is None or some is None else (some - none) / COUNTED


def _syncs(name: str, count: int) -> int | None:
    traced = "trace=fsync,fdatasync,sync_file_range,sync,syncfs,msync"
    command = ["strace", "-f", "-qq", "-e", traced]
    command += [sys.executable, "-m", "benchmarks._rivals", name, str(count)]
    run = subprocess.run(
        command,
        cwd=Path(__file__).parents[1],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env={"TMPDIR": tempfile.gettempdir()},
    )
    # Not allowed to trace, say.
    return None if run.returncode else len(re.findall(r"\w*sync\w*\(.*= 0", run.stderr))


def main() -> None:
    """Store so many orders in one of them."""
    name, count = sys.argv[1], int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        store = RIVALS[name](Path(folder))
        for _ in range(count):
            store(b'{"payload": "x"}')


if __name__ == "__main__":
    main()
