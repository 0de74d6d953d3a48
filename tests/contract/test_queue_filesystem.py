"""Queue and catalogue over files under the suites that every queue passes."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from galaxy_core.testing.contracts import OrderCatalogueContract, OrderQueueContract, QueueHarness
from galaxy_core.testing.state_machine import OrderQueueStateMachine
from tests.contract.files_queue import FilesQueueHarness, files_queue
from tests.contract.machine_settings import machine_settings


class TestFilesystemOrderQueue(OrderQueueContract):
    """The queue."""

    @pytest.fixture
    async def harness(self, tmp_path: Path) -> AsyncIterator[FilesQueueHarness]:
        """Give an empty folder on a manual clock."""
        async with files_queue(tmp_path) as harness:
            yield harness


class TestFilesystemOrderCatalogue(OrderCatalogueContract):
    """The catalogue of the same orders."""

    @pytest.fixture
    async def harness(self, tmp_path: Path) -> AsyncIterator[FilesQueueHarness]:
        """Give an empty folder on a manual clock."""
        async with files_queue(tmp_path) as harness:
            yield harness


class FilesQueueMachine(OrderQueueStateMachine):
    """Workers over one folder, driven at random."""

    async def start(self) -> QueueHarness:
        """Give an empty folder on a manual clock."""
        self._stack = AsyncExitStack()
        # Rules, not syncs, are under test: in memory where that can be had.
        memory = Path("/dev/shm")  # noqa: S108 - a folder of its own is made there
        folder = self._stack.enter_context(
            tempfile.TemporaryDirectory(
                prefix="galaxy-queue-", dir=memory if memory.is_dir() else None
            )
        )
        return await self._stack.enter_async_context(files_queue(Path(folder)))

    async def stop(self, harness: QueueHarness) -> None:
        """Close the queues and remove the folder."""
        await self._stack.aclose()


TestFilesQueueMachine = FilesQueueMachine.TestCase
TestFilesQueueMachine.settings = machine_settings(examples=25, steps=30)
