"""A process that writes notes from several tasks, three in each call.

python -m tests.unit.galaxy_adapters.notes_sqlite.writing_process PATH NAME CALLS

It prints the name of each call once it has returned, or `refused` and why.
"""

import itertools
import sys
from datetime import timedelta
from pathlib import Path

import anyio

from galaxy_adapters.clock_system import SystemClock
from galaxy_adapters.notes_sqlite import SqliteNoteStore
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.ports.note_store import Note
from galaxy_core.testing.memory.incident_sink import MemoryIncidentSink

TASKS = 6
PARTS = ("a", "b", "c")


async def run(path: Path, name: str, calls: int) -> None:
    """Write until all calls are done, or until somebody ends it."""
    numbers = itertools.count()

    async def write(store: SqliteNoteStore) -> None:
        while (number := next(numbers)) < calls:
            call = f"{name}-{number}"
            notes = [
                Note(kind="ask", key=f"{call}-{part}", value={"text": "x" * 300}) for part in PARTS
            ]
            try:
                await store.add(notes)
            except StorageUnavailable as error:
                print("refused", error, flush=True)
            else:
                print(call, flush=True)

    patience = timedelta(seconds=30)
    incidents = MemoryIncidentSink()
    async with (
        SqliteNoteStore(path, SystemClock(), incidents, busy_timeout=patience) as store,
        anyio.create_task_group() as group,
    ):
        for _ in range(TASKS):
            group.start_soon(write, store, name="write")
    assert not incidents.incidents, incidents.incidents


if __name__ == "__main__":
    anyio.run(run, Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
