"""`galaxy backup` and `galaxy restore`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import asdict

from galaxy_adapters.backup_tar import make_backup, restore_backup
from galaxy_apps.cli.cleanup import size
from galaxy_apps.cli.output import print_json, warn, write
from galaxy_apps.cli.place import local_time, open_place, operator, plural, run
from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.version import installed_version
from galaxy_core.domain.audit import AuditEvent
from galaxy_core.domain.backup import BackupReport
from galaxy_core.services.backup import steps
from galaxy_core.wire.layout import Layout

BACKED_UP, RESTORED = "backup_made", "backup_restored"
"""Lines of the trail."""


def backup(
    *, file: Path, has_secrets: bool, config: Path | None, machine: str | None, is_json: bool
) -> ExitCode:
    """Copy the folder; what waits, runs and ended, the trail, and what the gateway knows."""
    place = open_place(config, machine)
    report = make_backup(
        place.layout.repo_path.resolve(),
        file,
        steps(Layout(place.layout.repo_path.resolve()), with_secrets=has_secrets),
        version=installed_version(),
        now=datetime.now(UTC),
        has_secrets=has_secrets,
    )
    line = _line(BACKED_UP, place.machine.name, report)
    run(lambda: place.audit_sink().record([line]))
    if is_json:
        print_json({"file": str(file.absolute()), **asdict(report)})
    else:
        write(f"{file}: {plural(report.files, 'file')}, {size(report.size)}.")
        if report.trail_head:
            write(f"The trail in it ends with number {report.trail_lines}, {report.trail_head}.")
        if not has_secrets:
            write("Settings, token and passwords are not in it (--with-secrets).")
    return ExitCode.OK


def restore(
    *,
    file: Path,
    into: Path | None,
    is_forced: bool,
    config: Path | None,
    machine: str | None,
    is_json: bool,
) -> ExitCode:
    """Put a copy in place, and check the trail that came with it."""
    from galaxy_adapters.audit_jsonl import JsonlAuditSink, verify_chain

    if into is None:
        into = open_place(config, machine).layout.repo_path
    report = restore_backup(file, into.resolve(), is_forced=is_forced, now=datetime.now(UTC))
    layout = Layout(into.resolve())
    chain = verify_chain(layout.audit_log, anchors=[report.trail_head] if report.trail_head else ())
    line = _line(RESTORED, "", report)
    run(lambda: JsonlAuditSink(layout.audit_log).record([line]))
    if is_json:
        document = {"folder": str(layout.repo_path), **asdict(report)}
        print_json({**document, "is_intact": chain.is_intact, "faults": chain.faults})
    else:
        made = local_time(datetime.fromisoformat(report.made_at))
        write(f"{layout.repo_path}: {plural(report.files, 'file')}, as of {made}.")
        for fault in chain.faults:
            warn(f"galaxy: {fault}")
        write(f"The trail is {'intact' if chain.is_intact else 'NOT intact'}.")
        if not report.has_secrets:
            write("Settings, token and passwords were not in it: `galaxy config check` says more.")
    return ExitCode.OK if chain.is_intact else ExitCode.FAILURE


def _line(event_type: str, machine: str, report: BackupReport) -> AuditEvent:
    data: dict[str, Any] = json.loads(json.dumps(asdict(report)))
    return AuditEvent(
        timestamp=datetime.now(UTC),
        event_type=event_type,
        machine=machine or None,
        data={**data, "by": operator()},
    )
