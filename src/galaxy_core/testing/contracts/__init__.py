"""What an adapter owes its port, as pytest classes: inherit one, declare features, give a harness.

    class TestMyQueue(OrderQueueContract):
        features = QueueFeatures(has_other_machines=False)

        @pytest.fixture
        async def harness(self) -> AsyncIterator[QueueHarness]: ...

Needs pytest (the extra `galaxy-protocol[testing]`).
"""

from __future__ import annotations

import pkgutil

import pytest

# Plain `assert` in modules outside the test folders shows values only when pytest rewrites it,
# which has to be asked for before they are imported.
pytest.register_assert_rewrite(
    *(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__))
)

from galaxy_core.testing.contracts.agent_care import (  # noqa: E402
    AgentCareContract,
    AgentCareFeatures,
    AgentCareHarness,
)
from galaxy_core.testing.contracts.alert_book import AlertBookContract  # noqa: E402 - see above
from galaxy_core.testing.contracts.alert_sink import (  # noqa: E402
    AlertSinkContract,
    AlertSinkFeatures,
    AlertSinkHarness,
)
from galaxy_core.testing.contracts.anchor_log import (  # noqa: E402
    AnchorLogContract,
    AnchorLogHarness,
)
from galaxy_core.testing.contracts.audit import (  # noqa: E402
    AuditContract,
    AuditFeatures,
    AuditHarness,
)
from galaxy_core.testing.contracts.channel import (  # noqa: E402
    ChannelContract,
    ChannelFeatures,
    ChannelHarness,
)
from galaxy_core.testing.contracts.clock import ClockContract, ClockFeatures  # noqa: E402
from galaxy_core.testing.contracts.command_menu import (  # noqa: E402
    CommandMenuContract,
    MenuFeatures,
    MenuHarness,
)
from galaxy_core.testing.contracts.contract import (  # noqa: E402
    Contract,
    nasty_texts,
    overrides,
    requires,
    silent_overrides,
    unknown_features,
)
from galaxy_core.testing.contracts.control import ControlContract  # noqa: E402
from galaxy_core.testing.contracts.dispatcher import (  # noqa: E402
    DispatcherContract,
    DispatcherFeatures,
    DispatcherHarness,
)
from galaxy_core.testing.contracts.harness import Harness, StoreFeatures  # noqa: E402
from galaxy_core.testing.contracts.incident_sink import (  # noqa: E402
    IncidentFeatures,
    IncidentHarness,
    IncidentSinkContract,
)
from galaxy_core.testing.contracts.inventory import (  # noqa: E402
    InventoryContract,
    InventoryHarness,
)
from galaxy_core.testing.contracts.machine_folder import (  # noqa: E402
    FolderHarness,
    MachineFolderContract,
)
from galaxy_core.testing.contracts.note_store import (  # noqa: E402
    NoteStoreContract,
    NoteStoreHarness,
)
from galaxy_core.testing.contracts.old_files import (  # noqa: E402
    OldFilesContract,
    OldFilesHarness,
)
from galaxy_core.testing.contracts.old_records import (  # noqa: E402
    OldRecordsContract,
    OldRecordsFeatures,
    OldRecordsHarness,
)
from galaxy_core.testing.contracts.order_catalogue import OrderCatalogueContract  # noqa: E402
from galaxy_core.testing.contracts.order_files import (  # noqa: E402
    OrderFilesContract,
    OrderFilesHarness,
)
from galaxy_core.testing.contracts.order_queue import (  # noqa: E402
    OrderQueueContract,
    QueueFeatures,
    QueueHarness,
)
from galaxy_core.testing.contracts.outbox import OutboxContract, OutboxHarness  # noqa: E402
from galaxy_core.testing.contracts.presence import PresenceContract  # noqa: E402
from galaxy_core.testing.contracts.progress_feed import ProgressFeedContract  # noqa: E402
from galaxy_core.testing.contracts.reporting import (  # noqa: E402
    ReportingContract,
    ReportingFeatures,
    ReportingHarness,
)
from galaxy_core.testing.contracts.response_store import ResponseStoreContract  # noqa: E402
from galaxy_core.testing.contracts.run_journal import (  # noqa: E402
    JournalFeatures,
    JournalHarness,
    RunJournalContract,
)
from galaxy_core.testing.contracts.session_store import SessionStoreContract  # noqa: E402
from galaxy_core.testing.contracts.trail_index import TrailIndexContract  # noqa: E402
from galaxy_core.testing.contracts.transcriber import (  # noqa: E402
    TranscriberContract,
    TranscriberFeatures,
    TranscriberHarness,
)

__all__ = [
    "AgentCareContract",
    "AgentCareFeatures",
    "AgentCareHarness",
    "AlertBookContract",
    "AlertSinkContract",
    "AlertSinkFeatures",
    "AlertSinkHarness",
    "AnchorLogContract",
    "AnchorLogHarness",
    "AuditContract",
    "AuditFeatures",
    "AuditHarness",
    "ChannelContract",
    "ChannelFeatures",
    "ChannelHarness",
    "ClockContract",
    "ClockFeatures",
    "CommandMenuContract",
    "Contract",
    "ControlContract",
    "DispatcherContract",
    "DispatcherFeatures",
    "DispatcherHarness",
    "FolderHarness",
    "Harness",
    "IncidentFeatures",
    "IncidentHarness",
    "IncidentSinkContract",
    "InventoryContract",
    "InventoryHarness",
    "JournalFeatures",
    "JournalHarness",
    "MachineFolderContract",
    "MenuFeatures",
    "MenuHarness",
    "NoteStoreContract",
    "NoteStoreHarness",
    "OldFilesContract",
    "OldFilesHarness",
    "OldRecordsContract",
    "OldRecordsFeatures",
    "OldRecordsHarness",
    "OrderCatalogueContract",
    "OrderFilesContract",
    "OrderFilesHarness",
    "OrderQueueContract",
    "OutboxContract",
    "OutboxHarness",
    "PresenceContract",
    "ProgressFeedContract",
    "QueueFeatures",
    "QueueHarness",
    "ReportingContract",
    "ReportingFeatures",
    "ReportingHarness",
    "ResponseStoreContract",
    "RunJournalContract",
    "SessionStoreContract",
    "StoreFeatures",
    "TrailIndexContract",
    "TranscriberContract",
    "TranscriberFeatures",
    "TranscriberHarness",
    "nasty_texts",
    "overrides",
    "requires",
    "silent_overrides",
    "unknown_features",
]
