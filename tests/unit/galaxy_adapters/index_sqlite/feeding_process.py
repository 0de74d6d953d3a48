"""A process that feeds an index from a trail, few lines at a time, and says how far it is.

python -m tests.unit.galaxy_adapters.index_sqlite.feeding_process TRAIL INDEX LIMIT
"""

import sys
from pathlib import Path

import anyio

from galaxy_adapters.audit_jsonl import JsonlAuditTrail
from galaxy_adapters.index_sqlite import SqliteTrailIndex


async def feed(trail_path: Path, index_path: Path, *, limit: int, is_told: bool = False) -> None:
    """Feed all that the trail holds, from where the last feeder stopped."""
    trail, index = JsonlAuditTrail(trail_path), SqliteTrailIndex(index_path)
    async with index.feeder() as feeder:
        assert feeder is not None
        mark, is_at_end = (await feeder.marks()).get("trail"), False
        while not is_at_end:
            piece = await trail.read_on(mark, limit=limit)
            mark, is_at_end = piece.mark, piece.is_at_end
            if mark is not None:
                await feeder.add("trail", [record.event for record in piece.records], mark)
            if is_told:
                print(mark, flush=True)
    await index.aclose()


if __name__ == "__main__":
    _trail, _index, _limit = sys.argv[1:]
    anyio.run(lambda: feed(Path(_trail), Path(_index), limit=int(_limit), is_told=True))
