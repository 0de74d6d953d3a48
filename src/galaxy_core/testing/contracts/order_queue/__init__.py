"""The contract of `OrderQueue`: trouble first.

An adapter's author provides a `QueueHarness` and declares `QueueFeatures`; `docs/how-to/
write-a-queue.md` shows how.
"""

from __future__ import annotations

from typing import ClassVar

from galaxy_core.testing.contracts.order_queue.arrival import ArrivalContract
from galaxy_core.testing.contracts.order_queue.harness import QueueFeatures, QueueHarness
from galaxy_core.testing.contracts.order_queue.leases import LeaseContract
from galaxy_core.testing.contracts.order_queue.order import NextOrderContract
from galaxy_core.testing.contracts.order_queue.waiting import WaitContract

__all__ = ["OrderQueueContract", "QueueFeatures", "QueueHarness"]


class OrderQueueContract(LeaseContract, ArrivalContract, NextOrderContract, WaitContract):
    """Everything that an `OrderQueue` owes its callers."""

    features: ClassVar[QueueFeatures] = QueueFeatures()
