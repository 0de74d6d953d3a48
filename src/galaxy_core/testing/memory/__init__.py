"""Adapters that keep everything in memory: for tests, ours and other people's, and for trying out.

They do what the ports' docstrings say, and pass the same contract suites as the adapters that
keep things on disk.  What several processes share is an object of its own (`MemoryOrders`,
`CommandBox`, `LetterBox`, `NoteBox`, `AuditLines`, `IndexBox`, `ChatService`, `MemoryAgent`), so
that a test can let one "process" die and another one open what it left.  `Faults` makes any
operation fail.
"""

from galaxy_core.testing.clock import ManualClock
from galaxy_core.testing.faults import Crash, Faults
from galaxy_core.testing.memory.agent import (
    AgentMessage,
    BreakOff,
    Hang,
    MemoryAgent,
    Pause,
    Script,
)
from galaxy_core.testing.memory.alerts import AlertPages, MemoryAlertBook, MemoryAlertSink
from galaxy_core.testing.memory.anchor_log import MemoryAnchorLog
from galaxy_core.testing.memory.audit import AuditLines, MemoryAuditSink, MemoryAuditTrail
from galaxy_core.testing.memory.channel import (
    ChatService,
    MemoryChannel,
    SentPart,
    ShownCard,
)
from galaxy_core.testing.memory.control import CommandBox, MemoryControl
from galaxy_core.testing.memory.dispatcher import MemoryDispatcher
from galaxy_core.testing.memory.incident_sink import MemoryIncidentSink
from galaxy_core.testing.memory.inventory import MemoryInventory
from galaxy_core.testing.memory.machine_folder import MemoryMachineFolder
from galaxy_core.testing.memory.note_store import MemoryNoteStore, NoteBox
from galaxy_core.testing.memory.old_files import MemoryOldFiles, MemoryOldRecords, OldRecord
from galaxy_core.testing.memory.order_catalogue import MemoryOrderCatalogue
from galaxy_core.testing.memory.order_files import MemoryOrderFiles
from galaxy_core.testing.memory.order_queue import MemoryOrderQueue
from galaxy_core.testing.memory.orders import MemoryOrders
from galaxy_core.testing.memory.outbox import LetterBox, MemoryOutbox
from galaxy_core.testing.memory.presence import MemoryPresence
from galaxy_core.testing.memory.progress_feed import MemoryProgressFeed
from galaxy_core.testing.memory.response_store import MemoryResponseStore
from galaxy_core.testing.memory.run_journal import MemoryRunJournal
from galaxy_core.testing.memory.session_store import MemorySessionStore
from galaxy_core.testing.memory.trail_index import (
    IndexBox,
    MemoryTrailFeeder,
    MemoryTrailIndex,
)
from galaxy_core.testing.memory.transcriber import MemoryTranscriber

__all__ = [
    "AgentMessage",
    "AlertPages",
    "AuditLines",
    "BreakOff",
    "ChatService",
    "CommandBox",
    "Crash",
    "Faults",
    "Hang",
    "IndexBox",
    "LetterBox",
    "ManualClock",
    "MemoryAgent",
    "MemoryAlertBook",
    "MemoryAlertSink",
    "MemoryAnchorLog",
    "MemoryAuditSink",
    "MemoryAuditTrail",
    "MemoryChannel",
    "MemoryControl",
    "MemoryDispatcher",
    "MemoryIncidentSink",
    "MemoryInventory",
    "MemoryMachineFolder",
    "MemoryNoteStore",
    "MemoryOldFiles",
    "MemoryOldRecords",
    "MemoryOrderCatalogue",
    "MemoryOrderFiles",
    "MemoryOrderQueue",
    "MemoryOrders",
    "MemoryOutbox",
    "MemoryPresence",
    "MemoryProgressFeed",
    "MemoryResponseStore",
    "MemoryRunJournal",
    "MemorySessionStore",
    "MemoryTrailFeeder",
    "MemoryTrailIndex",
    "MemoryTranscriber",
    "NoteBox",
    "OldRecord",
    "Pause",
    "Script",
    "SentPart",
    "ShownCard",
]
