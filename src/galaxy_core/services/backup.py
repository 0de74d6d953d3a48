"""In which order a machine's folder is copied while it is in use.

Things move while they are read: an order from the queue to a worker and into the archive, a letter
from the outbox to those that were sent.  Each is moved by a rename, so reading the places in the
order of the way finds everything at least once; whoever is found twice is one thing that got on,
and the queue knows it again (same name, content and time).

Why this order:

- Chat and notes first: what the gateway has dealt with by then is an order by then.  What it deals
  with later comes again, under the same key.
- The trail's length next: whatever it says up to there is on the disk before anything else is read.
- Orders, held ones, orders again: a worker may give one back in between.
- Responses before journals, journals before the archive: a response without archive has its
  journal, so that the order is ended and not run once more.  Then the responses of what was
  archived meanwhile.
- Letters after the archive: an archived order has posted its letter.

Orders and messages that arrive while it is copied may be in it or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from galaxy_core.domain.backup import Reading, Step
from galaxy_core.wire.layout import Layout

__all__ = ["steps"]

_PROBE = "@"


def steps(layout: Layout, *, with_secrets: bool) -> Sequence[Step]:
    """All parts of the folder, in the order in which they are to be read."""
    queue = layout.queue_state
    plan = [
        (Reading.DATABASE, layout.web_channel / "history.sqlite", "*"),
        (Reading.DATABASE, layout.gateway_notes, "*"),
        (Reading.TRAIL_LENGTH, layout.audit_log, "*"),
        (Reading.FILES, layout.orders, "*.json"),
        (Reading.HELD, queue / "held", "*"),
        (Reading.FILES, layout.orders, "*.json"),
        (Reading.LINKS, queue / "ids", "*"),
        (Reading.FILES, queue / "notes", "*"),
        (Reading.FILES, queue / "keys", "*"),
        (Reading.LINKS, queue / "successors", "*"),
        (Reading.FILES, queue / "dismissed", "*"),
        (Reading.FILES, layout.control, "*"),
        (Reading.FILES, layout.notepads, layout.response("*").name),
        (Reading.FILES, layout.run_journal(_PROBE).parent, "*"),
        (Reading.FILES, layout.archive, "*"),
        (Reading.ANSWERS, layout.notepads, layout.response("*").name),
        (Reading.FILES, layout.orders, "*.processing"),
        (Reading.FILES, layout.outbox, "*"),
        (Reading.FILES, layout.outbox_archive, "*"),
        (Reading.FILES, layout.outbox_undeliverable, "*"),
        (Reading.FILES, layout.corrupted, "*"),
        (Reading.FILES, layout.inbound_files(_PROBE).parent.parent, "*"),
        (Reading.LINKS, layout.outgoing_link(_PROBE).parent, "*"),
        (Reading.FILES, layout.web_channel / "files", "*"),
        (Reading.FILES, layout.state, "alerts-*.json"),
        (Reading.FILES, layout.settings_folder, layout.sessions.name),
        (Reading.FILES, layout.logs, layout.health_log.name),
        (Reading.TRAIL, layout.audit_log, "*"),
    ]
    if with_secrets:
        plan.insert(-1, (Reading.FILES, layout.settings_folder, "*"))
    deep = {layout.control, layout.inbound_files(_PROBE).parent.parent}
    return [
        Step(
            reading=reading,
            path=PurePosixPath(path.relative_to(layout.repo_path)),
            pattern=pattern,
            is_deep=path in deep,
        )
        for reading, path, pattern in plan
    ]
