"""The steps by which an order's file changes hands, each one a single atomic system call.

A held order lies in `held/<lane>/` under a name that carries the holder's token (the ball).  The
lease *is* that name: taking over renames it, so of many who try exactly one succeeds, and the
former holder finds out by its name being gone.  `<name>.json.processing` is a second name of the
same file, for people and for the case that somebody clears our state away; nothing is decided
by it as long as the ball is there.

No step needs a sync.  A power cut undoes some of the last ones; each state it can leave is one
that a crash can leave too.
"""

from __future__ import annotations

import contextlib
import errno
import filecmp
import itertools
import os
import stat
from collections.abc import Callable, Iterator

from attrs import define, field

from galaxy_adapters._files import rename_exclusively
from galaxy_adapters.queue_filesystem._paths import (
    ENDING,
    HELD_ENDING,
    SEPARATOR,
    Ball,
    QueuePaths,
    lane_kept_by,
    side_lane,
    stem_of,
)
from galaxy_core.domain.ids import numbered


class LaneBusy(Exception):
    """An order of the same conversation is held."""


class OrderGone(Exception):
    """The order does not wait under this name any more."""


@define(eq=False)
class Holding:
    """Takes and returns balls for one worker.  Raises `OSError` where the disk fails."""

    paths: QueuePaths
    worker: str
    _serial: Iterator[int] = field(factory=lambda: itertools.count(1), init=False)

    # ---- taking

    def take(self, name: str, lane: str, *, beside: bool = False) -> Ball:
        """Make the waiting order `name` ours.

        `lane` is its conversation's key.  With `beside`, it is taken while another order of the
        conversation is held, for ending it.  Raises `LaneBusy`, `OrderGone`.
        """
        token = self._token()
        lane = side_lane(token, lane) if beside else lane
        ball = Ball(lane, token, name)
        self._open_lane(lane)
        try:
            os.rename(self.paths.order(name), self.paths.ball(ball))
        except FileNotFoundError:
            # Either the order is gone, or somebody swept the lane away while it was empty.
            if os.path.isdir(self.paths.lane(lane)) or not os.path.lexists(self.paths.order(name)):
                self.free_lane(lane)
                raise OrderGone(name) from None
            raise LaneBusy(lane) from None
        except OSError:
            self.free_lane(lane)
            raise
        return ball

    def take_over(self, ball: Ball) -> Ball | None:
        """Make the ball of a worker that is gone ours; None when somebody else was faster."""
        ours = Ball(ball.lane, self._token(), ball.name)
        try:
            os.rename(self.paths.ball(ball), self.paths.ball(ours))
        except FileNotFoundError:
            return None
        return ours

    def take_stray(self, name: str) -> Ball | None:
        """Make `name.processing`, which nobody seems to hold, ours; None when it is no stray.

        Strays are held orders of the original system, and those whose ball somebody removed.
        """
        token = self._token()
        ball = Ball(side_lane(token), token, name)
        self._open_lane(ball.lane)
        try:
            os.rename(self.paths.shown(name), self.paths.ball(ball))
        except FileNotFoundError:
            self.free_lane(ball.lane)
            return None
        except OSError:
            self.free_lane(ball.lane)
            raise
        if self._has_another_name(ball):
            # It was held after all (or has just been given back): this name of it was only shown.
            if not rename_exclusively(self.paths.ball(ball), self.paths.shown(name)):
                os.unlink(self.paths.ball(ball))
            self.free_lane(ball.lane)
            return None
        return ball

    # ---- showing

    def show(self, ball: Ball) -> bool:
        """Give the held file its second name, if that is free: people look there."""
        shown, held = self.paths.shown(ball.name), self.paths.ball(ball)
        try:
            os.link(held, shown, follow_symlinks=False)
            return True
        except OSError as error:
            # Hard links to other users' files may be forbidden (fs.protected_hardlinks).
            if error.errno in {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EMLINK}:
                with contextlib.suppress(OSError):
                    os.symlink(os.path.relpath(held, self.paths.orders), shown)
                    return True
        return False

    def hide(self, ball: Ball, *, is_shown: bool = False) -> None:
        """Take the second name away, unless it is another file's.

        `is_shown` says that we have put it there and hold the ball still.
        """
        shown = self.paths.shown(ball.name)
        with contextlib.suppress(FileNotFoundError):
            if is_shown:
                os.unlink(shown)
                return
            if _is_same_file(self.paths.ball(ball), shown):
                os.unlink(shown)

    # ---- letting go

    def is_ours(self, ball: Ball) -> bool:
        """Whether nobody has taken it over."""
        return os.path.lexists(self.paths.ball(ball))

    def give_back(
        self, ball: Ball, *, on_new_name: Callable[[str], None], is_shown: bool = False
    ) -> str:
        """Let the order wait again; the name under which it does.

        That is its old name, unless somebody dropped another file there meanwhile: then
        `on_new_name` hears of the new one before it is used.  Raises `OrderGone` when the ball
        was taken over.
        """
        self.hide(ball, is_shown=is_shown)
        held = self.paths.ball(ball)
        for name in _names(ball.name):
            if name != ball.name:
                if os.path.lexists(self.paths.order(name)):
                    continue
                on_new_name(name)
            try:
                if rename_exclusively(held, self.paths.order(name)):
                    self.free_lane(ball.lane)
                    return name
            except FileNotFoundError:
                raise OrderGone(ball.name) from None
        raise AssertionError("names never run out")

    def discard(self, ball: Ball, *, is_shown: bool = False) -> None:
        """Remove a held order that is in the archive.  Safe twice."""
        self.hide(ball, is_shown=is_shown)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.paths.ball(ball))
        self.free_lane(ball.lane)

    def free_lane(self, lane: str) -> None:
        """Remove the lane if nothing is held in it."""
        with contextlib.suppress(OSError):
            os.rmdir(self.paths.lane(lane))

    # ---- looking

    def survey(self) -> tuple[list[Ball], list[str]]:
        """All balls, and the lanes with nothing in them."""
        return survey_held(self.paths)

    def is_kept(self, lane: str) -> bool:
        """Whether an order of the lane's conversation is held, in its turn or beside it."""
        try:
            return any(lane_kept_by(folder) == lane for folder in os.listdir(self.paths.held))
        except FileNotFoundError:
            return False

    def _open_lane(self, lane: str) -> None:
        try:
            os.mkdir(self.paths.lane(lane))
        except FileExistsError:
            raise LaneBusy(lane) from None

    def _token(self) -> str:
        return f"{self.worker}{SEPARATOR}{next(self._serial)}"

    def _has_another_name(self, ball: Ball) -> bool:
        """Whether the file also waits or is held under another name of ours."""
        ours = os.stat(self.paths.ball(ball), follow_symlinks=False)
        # A file that moves from one place to the other between two looks is seen by a third.
        for _ in range(3 if ours.st_nlink > 1 else 0):
            names = [self.paths.ball(b) for b in self.survey()[0] if b != ball]
            for path in (*names, self.paths.order(ball.name)):
                with contextlib.suppress(FileNotFoundError):
                    other = os.stat(path, follow_symlinks=False)
                    if (other.st_dev, other.st_ino) == (ours.st_dev, ours.st_ino):
                        return True
        return False


def _is_same_file(held: str, shown: str) -> bool:
    """Whether both names are one file, or were before somebody copied the folder."""
    one, other = os.stat(held, follow_symlinks=False), os.stat(shown)
    if (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino):
        return True
    if not (stat.S_ISREG(one.st_mode) and stat.S_ISREG(other.st_mode)):
        return False
    return one.st_size == other.st_size and filecmp.cmp(held, shown, shallow=False)


def survey_held(paths: QueuePaths) -> tuple[list[Ball], list[str]]:
    """All balls, and the lanes with nothing in them."""
    balls: list[Ball] = []
    empty: list[str] = []
    try:
        lanes = os.listdir(paths.held)
    except FileNotFoundError:
        return balls, empty
    for lane in lanes:
        try:
            names = os.listdir(paths.lane(lane))
        except (FileNotFoundError, NotADirectoryError):
            continue
        balls += [ball for n in names if (ball := Ball.parse(lane, n)) is not None]
        if not names:
            empty.append(lane)
    return balls, empty


def shown_name(name: str) -> str | None:
    """The order's file name that `name` shows as held; None when it shows none."""
    order = name.removesuffix(HELD_ENDING)
    return order if order != name and order.endswith(ENDING) and not name.startswith(".") else None


def _names(name: str) -> Iterator[str]:
    yield name
    for number in itertools.count(2):
        yield numbered(stem_of(name), number) + ENDING
