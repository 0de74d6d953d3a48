"""`python -m tests.endurance`: 24 hours of orders in minutes, and whether everything levels off."""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
from pathlib import Path

from galaxy_core.testing.fixtures_opencode import find_opencode
from tests.endurance.report import report
from tests.endurance.run import Wish, run

_ENVIRONMENT = os.environ  # noqa: TID251 - where opencode is


def main() -> int:
    """Run it and print the report; 0 if everything levels off."""
    parser = argparse.ArgumentParser(prog="python -m tests.endurance", description=__doc__)
    parser.add_argument("--seed", type=int, help="repeats a run; made up if not given")
    parser.add_argument("--orders", type=int, default=2_000)
    parser.add_argument("--minutes", type=float, default=15.0, help="time to give them in")
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--sample-every", type=int, default=100, help="orders between two looks")
    parser.add_argument("--agent", choices=("opencode", "fake"), default="fake")
    parser.add_argument("--keep", type=Path, help="an empty folder to work in, which stays")
    options = parser.parse_args()
    opencode = find_opencode(Path.cwd(), dict(_ENVIRONMENT))
    if options.agent == "opencode" and opencode is None:
        parser.error("opencode is not installed: make agent, or --agent fake")
    wish = Wish(
        seed=random.randrange(10**6) if options.seed is None else options.seed,
        orders=options.orders,
        minutes=options.minutes,
        people=options.people,
        sample_every=options.sample_every,
        opencode=opencode if options.agent == "opencode" else None,
    )
    # TERM ends it as Ctrl-C does: everything that was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"seed {wish.seed}", flush=True)
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
        return _told(options.keep.resolve(), wish)
    with tempfile.TemporaryDirectory(prefix="galaxy-days-", ignore_cleanup_errors=True) as folder:
        return _told(Path(folder), wish)


def _told(folder: Path, wish: Wish) -> int:
    outcome = run(folder, wish)
    print("\n".join(report(outcome)))
    if outcome.logs:
        print(outcome.logs, file=sys.stderr)
    return 0 if outcome.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
