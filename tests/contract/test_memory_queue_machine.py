"""The queue in memory, driven at random against a simple model."""

from hypothesis import settings

from galaxy_core.testing.state_machine import OrderQueueStateMachine
from tests.contract.memory_queue import MemoryQueueHarness


class MemoryQueueMachine(OrderQueueStateMachine):
    """Workers over one `MemoryOrders`."""

    async def start(self) -> MemoryQueueHarness:
        """Give an empty queue on a manual clock."""
        return MemoryQueueHarness()


TestMemoryQueueMachine = MemoryQueueMachine.TestCase
TestMemoryQueueMachine.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
