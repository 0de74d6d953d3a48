"""The daemons in compressed time: `python compressed.py gateway SECONDS` or `hermes SECONDS`.

A day of housekeeping lasts `SECONDS`: how long things are kept, how often is tidied, the hour that
files must be older than the trail is told, and the ages of what is forgotten without a setting.
All the rest is the programs that people run.
USR1 has a process write down what only itself can count (`census`), into the file that
`GALAXY_CENSUS` names; with `GALAXY_TRACE=types` also of what types its objects are, and with
`GALAXY_TRACE=lines`, which is slow, which lines hold the memory.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
import tracemalloc
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path

from galaxy_adapters.channel_telegram import _inbound
from galaxy_apps import gateway, hermes
from galaxy_apps.settings.retention import RetentionSettings
from galaxy_core.domain.tidying import OldKind
from galaxy_core.services import housekeeping, tidying
from galaxy_core.services.courier import CourierConfig
from galaxy_core.services.gateway import caduceus

DAY = timedelta(days=1)
LINES, TYPES = 40, 200
_ENVIRONMENT = os.environ  # noqa: TID251 - where to write


def compress(day: timedelta) -> None:
    """Let housekeeping's days be that short."""

    def squeezed(time: timedelta) -> timedelta:
        return time * (day / DAY)

    ages = RetentionSettings.ages

    def ages_of(settings: RetentionSettings) -> Mapping[OldKind, timedelta]:
        return {kind: squeezed(age) for kind, age in ages(settings).items()}

    setattr(RetentionSettings, "ages", ages_of)  # noqa: B010 - a method of a frozen class
    housekeeping.EVERY = squeezed(housekeeping.EVERY) / 4
    housekeeping.FIRST_AFTER = min(housekeeping.FIRST_AFTER, housekeeping.EVERY)
    housekeeping.AGAIN_AFTER = squeezed(housekeeping.AGAIN_AFTER)
    tidying.SLACK = squeezed(tidying.SLACK)
    # What the daemons forget by themselves, after hours, a week, a month.
    caduceus.REMEMBERED = squeezed(caduceus.REMEMBERED)
    caduceus.CourierConfig = partial(CourierConfig, prune_every=housekeeping.EVERY)  # type: ignore[assignment,attr-defined]
    _inbound.KEPT, _inbound._DAY = day, housekeeping.EVERY


def census(file: Path) -> None:
    """Write down what this process holds."""
    gc.collect()
    try:
        tasks = Counter(task.get_name().rstrip("0123456789") for task in asyncio.all_tasks())
    except RuntimeError:  # the loop does not run yet, or not any more
        tasks = Counter()
    found: dict[str, object] = {"tasks": sum(tasks.values()), "names": dict(tasks)}
    found["objects"] = len(gc.get_objects())
    if tracemalloc.is_tracing():
        found["traced"] = tracemalloc.get_traced_memory()[0]
        lines = tracemalloc.take_snapshot().statistics("lineno")[:LINES]
        found["lines"] = [f"{each.size} {each.count} {each.traceback}" for each in lines]
    if "GALAXY_TRACE" in _ENVIRONMENT:
        types = Counter(f"{type(one).__module__}.{type(one).__name__}" for one in gc.get_objects())
        found["types"] = dict(types.most_common(TYPES))
    fresh = file.with_suffix(".fresh")
    fresh.write_text(json.dumps(found), encoding="utf-8")
    fresh.replace(file)


if __name__ == "__main__":
    name, seconds, *rest = sys.argv[1:]
    compress(timedelta(seconds=float(seconds)))
    if _ENVIRONMENT.get("GALAXY_TRACE") == "lines":
        tracemalloc.start()
    place = Path(_ENVIRONMENT["GALAXY_CENSUS"])
    signal.signal(signal.SIGUSR1, lambda *_: census(place))
    sys.exit({"gateway": gateway.main, "hermes": hermes.main}[name](rest))
