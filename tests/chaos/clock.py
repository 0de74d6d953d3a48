"""A time of day that can be set, for the programs that are started with it and for them alone."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

from attrs import define, field

SOURCE = Path(__file__).with_name("clock.c")
_COMPILED_WITHIN_S = 60


@define(eq=False)
class SetClock:
    """The time of day of some programs."""

    library: Path
    file: Path
    """How far it is off, in nanoseconds; every program has it mapped."""
    off_by_s: float = field(default=0.0, init=False)

    @property
    def environment(self) -> Mapping[str, str]:
        """What a program has to be started with."""
        return {"LD_PRELOAD": str(self.library), "CHAOS_CLOCK": str(self.file)}

    def set_to(self, off_by_s: float) -> None:
        """Set it, for all of them at once.

        Behind the kernel's (less than 0) opencode still works, but spins: what it waits for until a
        time of day is over at once.
        """
        self.off_by_s = off_by_s
        with self.file.open("r+b", buffering=0) as file:
            file.write(struct.pack("=q", int(off_by_s * 1_000_000_000)))


def made_clocks(folder: Path) -> tuple[SetClock, SetClock] | None:
    """Make two clocks that are right so far; None where no C compiler is."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    library = folder / "clock.so"
    words = [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE), "-ldl"]
    made = subprocess.run(words, capture_output=True, check=False, timeout=_COMPILED_WITHIN_S)
    if made.returncode != 0:
        return None
    first, second = (_right(library, folder / name) for name in ("clock-1", "clock-2"))
    return first, second


def _right(library: Path, file: Path) -> SetClock:
    file.write_bytes(bytes(8))
    return SetClock(library=library, file=file)
