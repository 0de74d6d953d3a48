"""Index and folder in memory, each under the suite of its port."""

# ruff: noqa: D102 - the suites' harnesses say what each method is for

from collections.abc import Sequence

import pytest

from galaxy_core.ports.machine_folder import MachineFolder
from galaxy_core.testing.contracts import (
    FolderHarness,
    MachineFolderContract,
    TrailIndexContract,
)
from galaxy_core.testing.memory import IndexBox, MemoryMachineFolder, MemoryTrailIndex
from tests.contract.memory_harness import MemoryHarness


class TestMemoryTrailIndex(TrailIndexContract):
    """The index."""

    @pytest.fixture
    def harness(self) -> MemoryHarness[MemoryTrailIndex]:
        """Give an index that nobody has fed."""
        box = IndexBox()
        return MemoryHarness(lambda its: MemoryTrailIndex(box, faults=its.faults))


class MemoryFolderHarness(MemoryHarness[MachineFolder], FolderHarness):
    """A folder that all processes share."""

    def __init__(self) -> None:
        super().__init__(lambda _: self.folder)
        self.folder = MemoryMachineFolder(faults=self.faults)

    def put_files(self, order_id: str, came: Sequence[str], made: Sequence[str]) -> None:
        self.folder.files[order_id] = [f"/files/{name}" for name in (*sorted(came), *sorted(made))]

    def write_log(self, text: str) -> None:
        self.folder.log[:] = text.removesuffix("\n").split("\n")


class TestMemoryMachineFolder(MachineFolderContract):
    """The folder."""

    @pytest.fixture
    def harness(self) -> MemoryFolderHarness:
        """Give an empty folder."""
        return MemoryFolderHarness()
