"""For tests, ours and others': contract suites, adapters in memory, a clock that stands still.

`galaxy_core.testing.memory` and `factories` need nothing else.  The contract suites are pytest
classes and `OrderQueueStateMachine` is hypothesis': they are imported when they are first asked
for, and come with the extra `galaxy-protocol[testing]`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from galaxy_core.testing.clock import ManualClock

if TYPE_CHECKING:
    from galaxy_core.testing.contracts import (
        AgentCareContract,
        AgentCareFeatures,
        AgentCareHarness,
        AlertBookContract,
        AlertSinkContract,
        AlertSinkFeatures,
        AlertSinkHarness,
        AnchorLogContract,
        AnchorLogHarness,
        AuditContract,
        AuditFeatures,
        AuditHarness,
        ChannelContract,
        ChannelFeatures,
        ChannelHarness,
        ClockContract,
        ClockFeatures,
        CommandMenuContract,
        Contract,
        ControlContract,
        DispatcherContract,
        DispatcherFeatures,
        DispatcherHarness,
        FolderHarness,
        Harness,
        IncidentFeatures,
        IncidentHarness,
        IncidentSinkContract,
        InventoryContract,
        InventoryHarness,
        JournalFeatures,
        JournalHarness,
        MachineFolderContract,
        MenuFeatures,
        MenuHarness,
        NoteStoreContract,
        NoteStoreHarness,
        OrderCatalogueContract,
        OrderFilesContract,
        OrderFilesHarness,
        OrderQueueContract,
        OutboxContract,
        OutboxHarness,
        PresenceContract,
        ProgressFeedContract,
        QueueFeatures,
        QueueHarness,
        ReportingContract,
        ReportingFeatures,
        ReportingHarness,
        ResponseStoreContract,
        RunJournalContract,
        SessionStoreContract,
        StoreFeatures,
        TrailIndexContract,
        TranscriberContract,
        TranscriberFeatures,
        TranscriberHarness,
        nasty_texts,
        overrides,
        requires,
        silent_overrides,
        unknown_features,
    )
    from galaxy_core.testing.state_machine import OrderQueueStateMachine

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
    "ManualClock",
    "MenuFeatures",
    "MenuHarness",
    "NoteStoreContract",
    "NoteStoreHarness",
    "OrderCatalogueContract",
    "OrderFilesContract",
    "OrderFilesHarness",
    "OrderQueueContract",
    "OrderQueueStateMachine",
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


if not TYPE_CHECKING:  # a type checker reads the imports above, and finds typing errors

    def __getattr__(name: str) -> object:
        """Import suites when they are asked for: they need pytest, the rest does not."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        source = "state_machine" if name == "OrderQueueStateMachine" else "contracts"
        return getattr(import_module(f"{__name__}.{source}"), name)
