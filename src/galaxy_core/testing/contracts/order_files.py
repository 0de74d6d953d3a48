"""What a store of orders' files owes its port."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from galaxy_core.domain.errors import PermanentError
from galaxy_core.domain.ids import ConversationKey, OrderId
from galaxy_core.ports.order_files import OrderFiles
from galaxy_core.testing.contracts.contract import Contract, requires
from galaxy_core.testing.contracts.harness import Harness, StoreFeatures

ORDER = OrderId("Ordnung ä-1")
CHAT = ConversationKey("telegram:-100:7")


def names(paths: Sequence[str]) -> list[str]:
    """Names of the files, all of them in one folder."""
    assert all(Path(path).is_absolute() for path in paths)
    assert len({Path(path).parent for path in paths}) <= 1
    return [Path(path).name for path in paths]


class OrderFilesHarness(Harness[OrderFiles]):
    """A machine without files, and an agent that puts some there."""

    @abstractmethod
    def put(self, folder: Path, name: str) -> None:
        """Put a plain file into an order's folder, as the agent does."""


class OrderFilesContract(Contract):
    """Folders of an order's own."""

    features: ClassVar[StoreFeatures] = StoreFeatures()

    async def test_an_order_has_a_folder_of_its_own(self, harness: OrderFilesHarness) -> None:
        """What belongs to one order never goes to somebody with another."""
        files = await harness.open()
        mine = await files.open_outgoing(ORDER, CHAT)
        assert mine.is_absolute()
        assert mine != await files.open_outgoing(OrderId("b"), ConversationKey("web:x"))
        harness.put(mine, "report.pdf")
        assert names(await files.outgoing(ORDER)) == ["report.pdf"]
        assert await files.outgoing(OrderId("b")) == ()

    async def test_a_conversation_keeps_its_path(self, harness: OrderFilesHarness) -> None:
        """The agent is told the same words each time, and each order gets its own files."""
        files = await harness.open()
        path = await files.open_outgoing(ORDER, CHAT)
        harness.put(path, "first.txt")
        assert await files.open_outgoing(OrderId("b"), CHAT) == path
        harness.put(path, "second.txt")
        assert names(await files.outgoing(ORDER)) == ["first.txt"]
        assert names(await files.outgoing(OrderId("b"))) == ["second.txt"]

    async def test_opening_twice_keeps_what_is_there(self, harness: OrderFilesHarness) -> None:
        """A second attempt at an order finds what the first one made."""
        files = await harness.open()
        folder = await files.open_outgoing(ORDER, CHAT)
        harness.put(folder, "a.txt")
        assert await files.open_outgoing(ORDER, CHAT) == folder
        assert names(await files.outgoing(ORDER)) == ["a.txt"]

    async def test_an_order_that_never_had_a_folder_has_no_files(
        self, harness: OrderFilesHarness
    ) -> None:
        """Asking for what is not there is no error."""
        assert await (await harness.open()).outgoing(ORDER) == ()

    async def test_files_come_by_name_without_the_hidden_ones(
        self, harness: OrderFilesHarness
    ) -> None:
        """The order of the files is the agent's, by their names; half-written ones stay."""
        files = await harness.open()
        folder = await files.open_outgoing(ORDER, CHAT)
        for name in ("b.txt", "10.png", ".b.txt.swp", "a file.md", "2.png"):
            harness.put(folder, name)
        expected = ["10.png", "2.png", "a file.md", "b.txt"]
        assert names(await files.outgoing(ORDER)) == expected

    @pytest.mark.parametrize("order_id", ["", "..", "../b", "a/b", "/etc", "a\0b"])
    async def test_an_id_never_leaves_its_folder(
        self, harness: OrderFilesHarness, order_id: str
    ) -> None:
        """What is no order's id has no folder."""
        files = await harness.open()
        with pytest.raises(PermanentError):
            await files.open_outgoing(OrderId(order_id), CHAT)
        assert await files.outgoing(OrderId(order_id)) == ()

    @requires("survives_restart")
    async def test_files_survive_a_restart(self, harness: OrderFilesHarness) -> None:
        """Whoever ends the order need not be the one who began it."""
        folder = await (await harness.open()).open_outgoing(ORDER, CHAT)
        harness.put(folder, "a.txt")
        await harness.restart()
        assert names(await (await harness.open()).outgoing(ORDER)) == ["a.txt"]
