"""What an adapter owes its port, as pytest classes: inherit one, declare features, give a harness.

    class TestMyQueue(OrderQueueContract):
        features = QueueFeatures(has_other_machines=False)

        @pytest.fixture
        async def harness(self) -> AsyncIterator[QueueHarness]: ...

Needs pytest (the extra `galaxy-protocol[testing]`).
"""

from __future__ import annotations

import pytest

# Plain `assert` in modules outside the test folders shows values only when pytest rewrites it,
# which has to be asked for before they are imported.
pytest.register_assert_rewrite(
    *(
        f"{__name__}.{module}"
        for module in (
            "dispatcher",
            "dispatcher_answers",
            "dispatcher_crashes",
            "dispatcher_endings",
            "dispatcher_people",
            "order_catalogue",
            "order_queue",
        )
    )
)

from galaxy_core.testing.contracts.contract import (  # noqa: E402 - see above
    Contract,
    nasty_texts,
    overrides,
    requires,
    silent_overrides,
)
from galaxy_core.testing.contracts.order_catalogue import OrderCatalogueContract  # noqa: E402
from galaxy_core.testing.contracts.order_queue import (  # noqa: E402
    OrderQueueContract,
    QueueFeatures,
    QueueHarness,
)

__all__ = [
    "Contract",
    "OrderCatalogueContract",
    "OrderQueueContract",
    "QueueFeatures",
    "QueueHarness",
    "nasty_texts",
    "overrides",
    "requires",
    "silent_overrides",
]
