"""`galaxy backup` and `galaxy restore`."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import asdict

from galaxy_adapters.backup_tar import make_backup, restore_backup
from galaxy_apps.cli.cleanup import size
from galaxy_apps.cli.output import print_json, warn, write
from galaxy_apps.cli.place import local_time, open_place, operator, plural, run
from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.home import NAME, Home
from galaxy_apps.settings import load
from galaxy_apps.version import installed_version
from galaxy_core.domain.audit import AuditEvent
from galaxy_core.domain.backup import BackupReport
from galaxy_core.ports.audit_sink import AuditSink
from galaxy_core.services.backup import steps
from galaxy_core.wire.layout import Layout

BACKED_UP, RESTORED = "backup_made", "backup_restored"
"""Lines of the trail."""


def backup(
    *, file: Path, has_secrets: bool, config: Path | None, machine: str | None, is_json: bool
) -> ExitCode:
    """Copy the folder; what waits, runs and ended, the trail, and what the gateway knows."""
    folder, name, trail = _meant(config, machine)
    report = make_backup(
        folder,
        file,
        steps(Layout(folder), with_secrets=has_secrets),
        version=installed_version(),
        now=datetime.now(UTC),
        has_secrets=has_secrets,
    )
    line = _line(BACKED_UP, name, report)
    run(lambda: trail.record([line]))
    if is_json:
        print_json({"file": str(file.absolute()), **asdict(report)})
    else:
        write(f"{file}: {plural(report.files, 'file')}, {size(report.size)}.")
        if report.trail_head:
            write(f"The trail in it ends with number {report.trail_lines}, {report.trail_head}.")
        if not has_secrets:
            write("Settings, token and passwords are not in it (--with-secrets).")
        own = Home(load(config)).layout
        if own.repo_path != folder and own.gateway_notes.exists():
            write(f"The gateway's own folder, {own.repo_path}, has a copy of its own:")
            write(f"  galaxy backup FILE --machine {NAME}")
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

    if not os.path.lexists(file):
        warn(f"galaxy: there is no file {file}.")
        return ExitCode.NOT_FOUND
    if into is None:
        into, _, _ = _meant(config, machine)
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


def _meant(config: Path | None, machine: str | None) -> tuple[Path, str, AuditSink]:
    """The folder that is meant, whose it is, and its trail: a machine's, or the gateway's own."""
    configuration = load(config)
    home = Home(configuration)
    if home.is_meant(machine):
        return home.layout.repo_path, NAME, home.audit_sink()
    place = open_place(config, machine)
    return place.layout.repo_path.resolve(), place.machine.name, place.audit_sink()


def _line(event_type: str, machine: str, report: BackupReport) -> AuditEvent:
    data: dict[str, Any] = json.loads(json.dumps(asdict(report)))
    return AuditEvent(
        timestamp=datetime.now(UTC),
        event_type=event_type,
        machine=machine or None,
        data={**data, "by": operator()},
    )
