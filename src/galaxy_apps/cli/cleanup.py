"""`galaxy cleanup`: remove what is over and old, dry run first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from functools import partial
from pathlib import Path

from galaxy_apps.cli.errors import UsageError, nearest
from galaxy_apps.cli.output import print_json, print_table, write
from galaxy_apps.cli.place import operator, plural, run
from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.home import NAME, Home
from galaxy_apps.settings import Configuration, load
from galaxy_apps.tidying import gateway_tidier, tidier
from galaxy_apps.wiring import Place
from galaxy_core.domain.tidying import EVERYDAY, OldKind, Tidied
from galaxy_core.ports.clock import Clock
from galaxy_core.services.tidying import Tidier

__all__ = ["cleanup"]

_LONGEST = 100_000
"""Days; nothing is that old."""
_SIZES = ("bytes", "kB", "MB", "GB")
_STEP = 1000


def cleanup(
    *,
    config: Path | None,
    machine: str | None,
    older_than: int | None,
    kinds: list[str] | None,
    is_applied: bool,
    is_json: bool,
) -> ExitCode:
    """Say what would be removed; with `is_applied`, remove it."""
    configuration = load(config)
    home, make = _meant(configuration, machine)
    ages = _ages(older_than, kinds or [])
    if not ages and older_than is None and not kinds:
        ages = configuration.settings.retention.ages()
    if not ages:
        raise UsageError(
            "nothing says how old is old: give --older-than DAYS or --kind KIND=DAYS, or set"
            " `retention`"
        )

    async def work() -> Sequence[Tidied]:
        async with make() as (tidy, clock):
            if is_applied:
                return await tidy.tidy(ages, clock.now(), by=operator())
            return await tidy.look(ages, clock.now())

    found = run(work)
    if is_json:
        print_json({"is_applied": is_applied, "kinds": [_document(each) for each in found]})
    else:
        _print(found, is_applied=is_applied)
        if home is not None:
            write(f"The gateway's own folder, {home}, is tidied apart:")
            write(f"  galaxy cleanup --machine {NAME}")
    return ExitCode.OK


def _meant(
    configuration: Configuration, machine: str | None
) -> tuple[Path | None, Callable[[], AbstractAsyncContextManager[tuple[Tidier, Clock]]]]:
    """Who tidies the folder that is meant; and the gateway's own, if that is left out."""
    home = Home(configuration)
    folder = home.layout.repo_path
    if home.is_meant(machine):
        here = [each for each in configuration.machines() if each.repo_path.resolve() == folder]
        if not here:
            return None, partial(gateway_tidier, home)
        machine = here[0].name
    place = Place(configuration.settings, configuration.machine(machine))
    is_apart = place.layout.repo_path.resolve() != folder and home.layout.gateway_notes.exists()
    return folder if is_apart else None, partial(tidier, configuration, place)


def _ages(older_than: int | None, kinds: Sequence[str]) -> Mapping[OldKind, timedelta]:
    ages: dict[OldKind, timedelta] = {}
    if older_than is not None:
        ages.update(dict.fromkeys(EVERYDAY, _days(older_than)))
    for each in kinds:
        word, _, days = each.partition("=")
        try:
            kind = OldKind(word)
        except ValueError:
            known = ", ".join(OldKind)
            hint = nearest(word, list(OldKind)) or f"; there are {known}"
            raise UsageError(f"--kind: there is no kind {word!r}{hint}") from None
        if not days.isascii() or not days.isdigit():
            raise UsageError(f"--kind: write it like {word}=30, a whole number of days")
        ages[kind] = _days(int(days))
    return ages


def _days(number: int) -> timedelta:
    if not 1 <= number <= _LONGEST:
        raise UsageError("an age is at least one day")
    return timedelta(days=number)


def _print(found: Sequence[Tidied], *, is_applied: bool) -> None:
    print_table(
        ("KIND", "OLDER THAN", "REMOVED" if is_applied else "WOULD GO", "SIZE", "KEPT"),
        [
            (
                each.kind.value,
                each.before.astimezone().strftime("%Y-%m-%d"),
                f"{each.old.count:,}",
                size(each.old.size),
                f"{each.kept.count:,}" if each.kept.count else "",
            )
            for each in found
        ],
        elastic=0,
    )
    if any(each.kept.count for each in found):
        write("Kept: old enough, but something that is not over needs it.")
    count = sum(each.old.count for each in found)
    total = size(sum(each.old.size for each in found))
    if is_applied:
        write(f"Removed {plural(count, 'thing')}, {total}.")
    elif count:
        write(f"Nothing was removed. With --apply: {plural(count, 'thing')}, {total}.")
    else:
        write("There is nothing to remove.")


def size(number: float) -> str:
    """Bytes for people."""
    for unit in _SIZES[:-1]:
        if number < _STEP:
            return f"{number:.0f} {unit}"
        number /= _STEP
    return f"{number:.1f} {_SIZES[-1]}"


def _document(each: Tidied) -> dict[str, object]:
    return {
        "kind": each.kind.value,
        "before": each.before,
        "count": each.old.count,
        "bytes": each.old.size,
        "kept": each.kept.count,
    }
