"""Where everything lies below a machine's `repo_path`: the protocol's table, and our own state.

Paths only; nothing here touches the disk.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from attrs import field, frozen


@frozen
class Layout:
    """The folders and files of one machine.

    Names in the first block are the protocol's and never change.  `state` is ours alone: what
    lies in it is removed when it is no longer needed, and nobody else should read it.
    """

    repo_path: Path = field(converter=Path)

    @property
    def notepads(self) -> Path:
        """The folder that all of the queue shares; one file system, so that renames are atomic."""
        return self.repo_path / ".sisyphus" / "notepads"

    @property
    def orders(self) -> Path:
        """`<name>.json` waits, `<name>.json.processing` is held by a worker."""
        return self.notepads / "galaxy-orders"

    @property
    def archive(self) -> Path:
        """`<order_id>.json` of orders that ended."""
        return self.notepads / "galaxy-orders-archive"

    @property
    def corrupted(self) -> Path:
        """What could not be read, each beside a `<name>.reason`."""
        return self.notepads / "galaxy-orders-corrupted"

    @property
    def outbox(self) -> Path:
        """Letters that wait."""
        return self.notepads / "galaxy-outbox"

    @property
    def outbox_archive(self) -> Path:
        """Letters that were sent."""
        return self.notepads / "galaxy-outbox-archive"

    @property
    def outbox_undeliverable(self) -> Path:
        """Letters that nobody can get, each beside a `<name>.reason`."""
        return self.notepads / "galaxy-outbox-undeliverable"

    @property
    def heartbeat(self) -> Path:
        """Hermes' sign of life."""
        return self.notepads / "galaxy-session-heartbeat.json"

    @property
    def gateway_heartbeat(self) -> Path:
        """The sign of life of the gateway that serves this folder."""
        return self.notepads / "galaxy-gateway-heartbeat.json"

    def response(self, order_id: str) -> Path:
        """The response to one order; `order_id` must be a valid id."""
        return self.notepads / f"galaxy-order-response-{order_id}.md"

    def inbound_files(self, order_id: str) -> Path:
        """Files that people sent with an order; `order_id` must be a valid id."""
        return self.notepads / "galaxy-order-files" / order_id / "in"

    def outbound_files(self, order_id: str) -> Path:
        """Files that go to people with the answer to an order; `order_id` must be a valid id."""
        return self.notepads / "galaxy-order-files" / order_id / "out"

    def outgoing_link(self, conversation: str) -> Path:
        """Leads to the outbound files of the order that a conversation works on."""
        digest = hashlib.sha256(conversation.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        return self.notepads / "galaxy-outgoing" / digest

    @property
    def settings_folder(self) -> Path:
        """Settings and what belongs to the machine rather than to the queue."""
        return self.repo_path / ".galaxy"

    @property
    def sessions(self) -> Path:
        """Conversation -> agent session."""
        return self.settings_folder / "hermes-session.json"

    @property
    def logs(self) -> Path:
        """Audit trail and health log."""
        return self.repo_path / "logs"

    @property
    def audit_log(self) -> Path:
        """The audit trail's newest part."""
        return self.logs / "galaxy-audit.jsonl"

    @property
    def health_log(self) -> Path:
        """The health log."""
        return self.logs / "galaxy-health.log"

    @property
    def state(self) -> Path:
        """Our own working state, beside the queue so that it shares its file system."""
        return self.notepads / ".galaxy-state"

    @property
    def queue_state(self) -> Path:
        """Locks, leases and notes of the file queue."""
        return self.state / "queue"

    def run_journal(self, order_id: str) -> Path:
        """What was written down about the attempts at one order."""
        return self.state / "runs" / f"{order_id}.jsonl"

    @property
    def gateway_notes(self) -> Path:
        """What the gateway has to remember: an SQLite database."""
        return self.state / "gateway.sqlite3"

    @property
    def trail_index(self) -> Path:
        """Figures and searches over audit trails: an SQLite database, made again at any time."""
        return self.state / "trail-index.sqlite3"

    @property
    def web_channel(self) -> Path:
        """Conversations and files of the page's chat."""
        return self.state / "web"

    @property
    def gateway_lock(self) -> Path:
        """Held by the one gateway that serves this folder."""
        return self.state / "gateway.lock"

    def alerts(self, watcher: str) -> Path:
        """What one watcher has said and may not say again; `watcher` is a safe file name."""
        return self.state / f"alerts-{watcher}.json"

    @property
    def control(self) -> Path:
        """Commands to orders: cancellations, answers."""
        return self.state / "control"

    @property
    def progress(self) -> Path:
        """Feeds of running orders."""
        return self.state / "progress"
