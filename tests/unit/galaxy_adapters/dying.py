"""A process that dies at its nth step on the disk, played inside the test's own process."""

import os
from collections.abc import Callable, Iterator

import pytest


class Died(BaseException):
    """The process is gone: no handler of ours may clean up after it."""


STEPS = (
    *("open", "write", "fsync", "fdatasync", "rename", "unlink", "mkdir", "link", "ftruncate"),
    "utime",
)


class DyingProcess:
    """Counts the steps that change the disk, and dies before one of them."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self.steps = 0

    def run(self, deed: Callable[[], object], *, dies_at: int, knows_renameat2: bool) -> bool:
        """Do it; False when it died before its step number `dies_at` (from 1)."""
        self.steps = 0
        with self._patch.context() as patch:
            for name in STEPS:
                patch.setattr(os, name, self._counted(getattr(os, name), dies_at))
            if not knows_renameat2:
                patch.setattr("galaxy_adapters._files.rename._find_renameat2", lambda: None)
            try:
                deed()
            except Died:
                return False
        return True

    def _counted(self, step: Callable[..., object], dies_at: int) -> Callable[..., object]:
        def counted(*args: object, **kwargs: object) -> object:
            self.steps += 1
            if self.steps == dies_at:
                raise Died
            return step(*args, **kwargs)

        return counted


def every_death(
    patch: pytest.MonkeyPatch,
    prepare: Callable[[int], Callable[[], object]],
    *,
    knows_renameat2: bool = True,
) -> Iterator[tuple[int, bool]]:
    """Do the same deed again and again, dying one step later each time, until it lives.

    `prepare(number)` makes a fresh place and returns the deed.  Yields the number of each try
    after it, and whether it lived.  Without renameat2, as on macOS, a move is two steps.
    """
    process = DyingProcess(patch)
    number = 0
    is_alive = False
    while not is_alive:
        number += 1
        is_alive = process.run(prepare(number), dies_at=number, knows_renameat2=knows_renameat2)
        yield number, is_alive
    assert number > 3, "the deed has hardly any steps: the counting is broken"
