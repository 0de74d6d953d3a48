"""The queue in memory, driven at random against a simple model."""

from galaxy_core.testing.state_machine import OrderQueueStateMachine
from tests.contract.machine_settings import machine_settings
from tests.contract.memory_queue import MemoryQueueHarness


class MemoryQueueMachine(OrderQueueStateMachine):
    """Workers over one `MemoryOrders`."""

    async def start(self) -> MemoryQueueHarness:
        """Give an empty queue on a manual clock."""
        return MemoryQueueHarness()


TestMemoryQueueMachine = MemoryQueueMachine.TestCase
TestMemoryQueueMachine.settings = machine_settings(examples=50, steps=40)
