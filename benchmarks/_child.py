"""A process that is measured from outside: a module of ours that talks in JSON lines."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen


@frozen
class Child:
    """The process, as who started it sees it."""

    process: subprocess.Popen[str]

    def ask(self, word: object) -> Any:  # noqa: ANN401 - JSON
        """What it answers to a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return self.hear()

    def hear(self) -> Any:  # noqa: ANN401 - JSON
        """What it says next."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args!r} ended with exit code {self.process.wait()}")
        return json.loads(line)


@contextmanager
def running(module: str, *arguments: object) -> Iterator[Child]:
    """Start `python -m benchmarks.<module>`; it is killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Child(process)
    finally:
        process.kill()
        process.wait()


def say(document: object) -> None:
    """One line to whoever started us."""
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()
