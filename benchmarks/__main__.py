"""Run benchmarks, print a table, keep the figures in `benchmarks/results/`."""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
from pathlib import Path

from attrs import asdict

import benchmarks
from benchmarks import _disk, _machine
from benchmarks._figure import Figure

RESULTS = Path(__file__).parent / "results"


def names() -> list[str]:
    """All benchmarks there are."""
    found = (module.name for module in pkgutil.iter_modules(benchmarks.__path__))
    return sorted(name for name in found if not name.startswith("_"))


def main() -> int:
    """Run those that were named, or all; the exit code is the number of limits not kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of: {', '.join(names())}")
    chosen = parser.parse_args().names or names()
    unknown = sorted(set(chosen) - set(names()))
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    with _disk.suitable_disk() as disk:
        return run_all(chosen, disk)


def run_all(chosen: list[str], disk: str) -> int:
    """Run them on the disk that `tempfile` uses; how many limits were not kept."""
    machine = _machine.describe() | {"disk": disk}
    print(" · ".join(f"{key} {value}" for key, value in machine.items()))
    missed = 0
    for name in chosen:
        module = importlib.import_module(f"benchmarks.{name}")
        print(f"\n{name}: {(module.__doc__ or '').splitlines()[0]}")
        figures: list[Figure] = module.run()
        print_table(figures)
        keep(name, machine, figures)
        missed += sum(figure.is_met is False for figure in figures)
    return min(missed, 100)


def print_table(figures: list[Figure]) -> None:
    """Show name, value, limit and whether it is kept."""
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        limit = ""
        if figure.limit is not None:
            sign = ">=" if figure.is_at_least else "<="
            verdict = "ok" if figure.is_met else "MISSED"
            limit = f"{sign} {figure.limit:g}  {verdict}"
        value = f"{figure.value:,.3f}" if figure.value < 100 else f"{figure.value:,.0f}"
        print(f"  {figure.name:<{width}}  {value:>10} {figure.unit:<8} {limit:<16} {figure.note}")


def keep(name: str, machine: dict[str, str], figures: list[Figure]) -> None:
    """Write the figures beside those of earlier runs."""
    RESULTS.mkdir(exist_ok=True)
    stamp = machine["time"].replace(":", "").replace("-", "").partition("+")[0]
    document = {
        "benchmark": name,
        "machine": machine,
        "figures": [asdict(figure) for figure in figures],
    }
    (RESULTS / f"{name}-{stamp}Z.json").write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
