"""`galaxy audit`: showing the trail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from galaxy_apps.cli import output
from galaxy_apps.cli.output import (
    one_line,
    print_json,
    print_json_line,
    shortened,
    styled,
    write,
)
from galaxy_apps.cli.place import local_time, open_place, plural, read_moment, run
from galaxy_apps.exit_codes import ExitCode
from galaxy_core.domain.audit import AuditQuery, AuditRecord, AuditSeverity

ICONS = {
    AuditSeverity.CRITICAL: "🚨",
    AuditSeverity.ERROR: "❌",
    AuditSeverity.WARNING: "\N{WARNING SIGN}\N{VARIATION SELECTOR-16}",
    AuditSeverity.INFO: "\N{INFORMATION SOURCE}\N{VARIATION SELECTOR-16}",
}
SUCCESS_ICON = "✅"
STYLES = {
    AuditSeverity.CRITICAL: output.RED,
    AuditSeverity.ERROR: output.RED,
    AuditSeverity.WARNING: output.YELLOW,
    AuditSeverity.INFO: "",
}
_LONGEST_VALUE = 120
_CHAIN_KEYS = frozenset({"sequence", "digest"})


def show(
    *,
    config: Path | None,
    machine: str | None,
    limit: int,
    severity: str | None,
    event_type: str | None,
    since: str | None,
    order_id: str | None,
    is_following: bool,
    is_json: bool,
) -> ExitCode:
    """Print the newest lines of the trail that are wanted, oldest of them first."""
    place = open_place(config, machine)
    query = AuditQuery(
        limit=limit,
        severity=AuditSeverity(severity) if severity else None,
        event_type=event_type,
        since=read_moment(since, "--since", is_past=True) if since else None,
        order_id=order_id,
    )
    trail = place.audit_trail()
    if is_following:

        async def follow() -> None:
            async for record in trail.follow(query):
                if is_json:
                    print_json_line(document(record))
                else:
                    print_record(record, is_flushed=True)

        run(follow)
        return ExitCode.OK
    records = run(lambda: trail.read(query))
    if is_json:
        print_json({"events": [document(record) for record in records]})
        return ExitCode.OK
    write(styled(f"Galaxy Protocol Audit Report - {plural(len(records), 'event')}", output.BOLD))
    for record in records:
        print_record(record)
    return ExitCode.OK


def document(record: AuditRecord) -> dict[str, Any]:
    """A line of the trail as JSON, with its place in the chain."""
    event = record.event
    known = {
        "timestamp": event.timestamp,
        "event_type": event.event_type,
        "severity": event.severity.value,
        "order_id": event.order_id,
        "machine": event.machine,
    }
    data = {key: value for key, value in event.data.items() if key not in known}
    return {**known, **data, "sequence": record.sequence, "digest": record.digest}


def print_record(record: AuditRecord, *, is_flushed: bool = False) -> None:
    """Print a line of the trail for a person."""
    event = record.event
    icon = SUCCESS_ICON if event.event_type.endswith("_success") else ICONS[event.severity]
    # The sign for "emoji, please" after it takes no cell of its own on most terminals.
    head = f"{icon}{' ' * (3 - output.width_of(icon.rstrip(chr(0xFE0F))))}"
    kind = styled(one_line(event.event_type).ljust(26), STYLES[event.severity])
    parts = [local_time(event.timestamp), kind]
    if event.order_id:
        parts.append(styled(one_line(event.order_id), output.CYAN))
    parts += [
        f"{one_line(key)}={_shown(value)}"
        for key, value in event.data.items()
        if key not in _CHAIN_KEYS
    ]
    write(head + "  ".join(parts))
    if is_flushed:
        output.flush()


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = shortened(one_line(text), _LONGEST_VALUE)
    return f'"{text}"' if " " in text else text
