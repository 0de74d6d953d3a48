"""Queue and catalogue in memory under the suites that every queue passes."""

import pytest

from galaxy_core.testing.contracts.order_catalogue import OrderCatalogueContract
from galaxy_core.testing.contracts.order_queue import OrderQueueContract
from tests.contract.memory_queue import MemoryQueueHarness


class TestMemoryOrderQueue(OrderQueueContract):
    """The queue."""

    @pytest.fixture
    def harness(self) -> MemoryQueueHarness:
        """Give an empty queue on a manual clock."""
        return MemoryQueueHarness()


class TestMemoryOrderCatalogue(OrderCatalogueContract):
    """The catalogue of the same orders."""

    @pytest.fixture
    def harness(self) -> MemoryQueueHarness:
        """Give an empty queue on a manual clock."""
        return MemoryQueueHarness()
