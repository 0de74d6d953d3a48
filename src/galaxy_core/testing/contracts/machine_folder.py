"""The contract of `MachineFolder`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import pytest

from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.ids import OrderId
from galaxy_core.ports.machine_folder import MachineFolder
from galaxy_core.testing.contracts.contract import Contract, requires
from galaxy_core.testing.contracts.harness import Harness, StoreFeatures

ORDER = OrderId("order-1")


class FolderHarness(Harness[MachineFolder]):
    """A machine's folder without anything in it."""

    @abstractmethod
    def put_files(self, order_id: str, came: Sequence[str], made: Sequence[str]) -> None:
        """Files of an order, by name: those that came with it, and those made for it."""

    @abstractmethod
    def write_log(self, text: str) -> None:
        """Write the health log anew."""


class MachineFolderContract(Contract):
    """Looking at what lies in a machine's folder."""

    features: ClassVar[StoreFeatures] = StoreFeatures()

    @requires("can_refuse")
    async def test_refusing_folder_is_not_an_empty_one(self, harness: FolderHarness) -> None:
        """Every method raises `StorageUnavailable` when it cannot look."""
        harness.put_files(ORDER, ["a.png"], [])
        harness.write_log("one\n")
        folder = await harness.open()
        async with harness.refusing():
            with pytest.raises(StorageUnavailable):
                await folder.space()
            with pytest.raises(StorageUnavailable):
                await folder.files_of(ORDER)
            with pytest.raises(StorageUnavailable):
                await folder.health_log(5)
        assert len(await folder.files_of(ORDER)) == 1

    async def test_disk_has_a_size(self, harness: FolderHarness) -> None:
        """What is left is part of what there is."""
        space = await (await harness.open()).space()
        assert 0 <= space.free_bytes <= space.total_bytes
        assert space.total_bytes > 0

    async def test_files_of_an_order(self, harness: FolderHarness) -> None:
        """First those that came with it, then those made for it; absolute, each by name."""
        harness.put_files(ORDER, ["b.png", "a.png"], ["report.pdf"])
        harness.put_files("other", ["secret.txt"], [])
        found = await (await harness.open()).files_of(ORDER)
        assert [path.rsplit("/", 1)[1] for path in found] == ["a.png", "b.png", "report.pdf"]
        assert all(path.startswith("/") for path in found)

    @pytest.mark.parametrize("order_id", ["none", "", "..", "../order-1", "a/b", "a\0b"])
    async def test_order_without_files(self, harness: FolderHarness, order_id: str) -> None:
        """An order that has none, and an id that is none, have no files."""
        harness.put_files(ORDER, ["a.png"], [])
        assert list(await (await harness.open()).files_of(OrderId(order_id))) == []

    async def test_newest_lines_of_the_log(self, harness: FolderHarness) -> None:
        """The end of the log, oldest line first, whether its last line is finished or not."""
        folder = await harness.open()
        assert list(await folder.health_log(5)) == []
        harness.write_log("one\ntwo\nthree\n")
        assert list(await folder.health_log(2)) == ["two", "three"]
        assert list(await folder.health_log(9)) == ["one", "two", "three"]
        assert list(await folder.health_log(0)) == []
        harness.write_log("one\n\nthree")
        assert list(await folder.health_log(2)) == ["", "three"]

    async def test_long_log(self, harness: FolderHarness) -> None:
        """The end of a long log comes whole: no line of it is cut."""
        lines = [f"{number:06} {'x' * (number % 200)}" for number in range(5_000)]
        harness.write_log("\n".join(lines) + "\n")
        folder = await harness.open()
        assert list(await folder.health_log(1_500)) == lines[-1_500:]
        assert list(await folder.health_log(9_999)) == lines
