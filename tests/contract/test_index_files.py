"""The index in SQLite and the look at a folder, each under the suite of its port."""

# ruff: noqa: D102 - the suites' harnesses say what each method is for

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from galaxy_adapters.folder_filesystem import FilesystemMachineFolder
from galaxy_adapters.index_sqlite import SqliteTrailIndex
from galaxy_core.ports.machine_folder import MachineFolder
from galaxy_core.ports.trail_index import TrailIndex
from galaxy_core.testing.contracts import (
    FolderHarness,
    MachineFolderContract,
    TrailIndexContract,
)
from tests.contract.files_harness import FilesHarness


class IndexHarness(FilesHarness[TrailIndex]):
    """An index that several processes have open."""

    async def close(self) -> None:
        for index in self._open:
            assert isinstance(index, SqliteTrailIndex)
            await index.aclose()
        self._open.clear()


class TestSqliteTrailIndex(TrailIndexContract):
    """The index."""

    @pytest.fixture
    async def harness(self, tmp_path: Path) -> AsyncIterator[IndexHarness]:
        """Give a folder without an index."""
        harness = IndexHarness(
            tmp_path, lambda its: SqliteTrailIndex(its.layout.state / "index.sqlite3")
        )
        yield harness
        await harness.close()


class FilesFolderHarness(FilesHarness[MachineFolder], FolderHarness):
    """A folder of the disk."""

    def put_files(self, order_id: str, came: Sequence[str], made: Sequence[str]) -> None:
        for folder, names in (
            (self.layout.inbound_files(order_id), came),
            (self.layout.outbound_files(order_id), made),
        ):
            folder.mkdir(parents=True)
            for name in (*names, ".half-written"):
                (folder / name).write_text("content")
            (folder / "link").symlink_to(folder / ".half-written")

    def write_log(self, text: str) -> None:
        self.layout.logs.mkdir(exist_ok=True)
        self.layout.health_log.write_text(text)

    @asynccontextmanager
    async def refusing(self) -> AsyncIterator[None]:
        # A link that leads to itself: what stands on a file still has a disk that can be measured.
        folder = self.layout.repo_path
        away = folder.rename(folder.with_name(f"{folder.name}-away"))
        folder.symlink_to(folder)
        yield
        folder.unlink()
        away.rename(folder)


class TestFilesystemMachineFolder(MachineFolderContract):
    """The folder."""

    @pytest.fixture
    def harness(self, tmp_path: Path) -> FilesFolderHarness:
        """Give an empty folder."""
        return FilesFolderHarness(tmp_path, lambda its: FilesystemMachineFolder(its.layout))
