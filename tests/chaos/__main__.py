"""`python -m tests.chaos`: a storm of kills over a stream of orders, and the books afterwards."""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from galaxy_core.testing.fixtures_opencode import find_opencode
from tests.chaos.run import Outcome, Wish, run

_ENVIRONMENT = os.environ  # noqa: TID251 - where opencode is


def main() -> int:
    """Run it and print the report; 0 if all is as promised."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="repeats a run; made up if not given")
    parser.add_argument("--orders", type=int, default=300)
    parser.add_argument("--kills", type=int, default=150)
    parser.add_argument("--minutes", type=float, default=8.0, help="longest time of the storm")
    parser.add_argument("--drain-minutes", type=float, default=5.0, help="longest wait after it")
    parser.add_argument("--people", type=int, default=6)
    parser.add_argument("--agent", choices=("opencode", "scripted"), default="opencode")
    parser.add_argument("--keep", type=Path, help="an empty folder to work in, which stays")
    options = parser.parse_args()
    opencode = find_opencode(Path.cwd(), dict(_ENVIRONMENT))
    if options.agent == "opencode" and opencode is None:
        parser.error("opencode is not installed: make agent, or --agent scripted")
    wish = Wish(
        seed=random.randrange(10**6) if options.seed is None else options.seed,
        orders=options.orders,
        kills=options.kills,
        minutes=options.minutes,
        drain_minutes=options.drain_minutes,
        people=options.people,
        opencode=opencode if options.agent == "opencode" else None,
    )
    print(f"seed {wish.seed}", flush=True)
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
        return _told(run(options.keep.resolve(), wish, watch_for_end=_watch_for_end))
    with tempfile.TemporaryDirectory(prefix="galaxy-chaos-", ignore_cleanup_errors=True) as folder:
        return _told(run(Path(folder), wish, watch_for_end=_watch_for_end))


def _watch_for_end(cut_short: Callable[[], None]) -> None:
    """Let TERM or Ctrl-C end the storm, and balance the books of what there was; a second ends all.

    Also then everything that was started is ended and the disk unmounted.
    """

    def end(number: int, _: object) -> None:
        print("ending early: no more trouble and orders, then the books", flush=True)
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, lambda *_: sys.exit(128 + number))
        cut_short()

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, end)


def _told(outcome: Outcome) -> int:
    print("\n".join(outcome.report()))
    if outcome.logs:
        print(outcome.logs, file=sys.stderr)
    return 0 if outcome.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
