"""`galaxy services install|uninstall|status|logs`: the programs as services of systemd."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from galaxy_apps.cli.errors import UsageError, nearest
from galaxy_apps.cli.output import print_json, print_table, warn, write
from galaxy_apps.cli.place import operator
from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.services.installing import Installer
from galaxy_apps.services.plan import NAMES, Plan
from galaxy_apps.services.systemd import Systemd, is_lingering
from galaxy_apps.settings import environment, load

_GOOD = frozenset({"active", "activating", "reloading"})
_FAILING = frozenset({"auto-restart", "auto-restart-queued"})
"""Of a service that is "activating" because it has just failed."""


def install(
    *, config: Path | None, names: Sequence[str], is_system: bool, is_dry: bool, is_json: bool
) -> ExitCode:
    """Write the units with this user's paths, enable and start them; again: nothing more."""
    _check(names)
    systemd = Systemd(environ=environment(), is_system=is_system)
    systemd.require()
    if not is_dry:
        systemd.require_rights()
    plan = Plan(
        configuration=load(config),
        environ=environment(),
        is_system=is_system,
        impossible=systemd.impossible(),
    )
    steps: list[str] = []
    installer = Installer(systemd, steps.append if is_json else write, is_dry=is_dry)
    services = plan.services(names, installed=installer.installed)
    for name in plan.missing():
        warn(f"galaxy: the agent needs {name}, which is not on PATH: {plan.path}")
    for name in plan.shell_only():
        warn(f"galaxy: services do not see {name} of this shell; put it into {plan.config}")
    if plan.impossible:
        warn(
            "galaxy: this host does not let its users' services have "
            f"{', '.join(sorted(plan.impossible))}, so they go without; --system can"
        )
    installer.install(plan, services)
    if is_json:
        print_json(
            {
                "config": plan.config,
                "units": [unit for service in services for unit in service.units],
                "steps": steps,
                "is_dry_run": is_dry,
            }
        )
        return ExitCode.OK
    verb = "would run" if is_dry else "run"
    write(f"{', '.join(service.name for service in services)} {verb} for {plan.config}.")
    user = operator()
    if not is_system and not is_lingering(user):
        write(f"They end when you log out, unless you run: loginctl enable-linger {user}")
    return ExitCode.OK


def uninstall(*, names: Sequence[str], is_system: bool, is_dry: bool, is_json: bool) -> ExitCode:
    """Stop, disable and remove what `install` wrote, and nothing else."""
    _check(names)
    systemd = Systemd(environ=environment(), is_system=is_system)
    systemd.require()
    if not is_dry:
        systemd.require_rights()
    steps: list[str] = []
    installer = Installer(systemd, steps.append if is_json else write, is_dry=is_dry)
    is_clean = installer.uninstall(names)
    if is_json:
        print_json({"steps": steps, "is_clean": is_clean, "is_dry_run": is_dry})
    return ExitCode.OK if is_clean else ExitCode.FAILURE


def status(*, names: Sequence[str], is_system: bool, is_json: bool) -> ExitCode:
    """Print how the installed services are; a failure where one does not run."""
    _check(names)
    systemd = Systemd(environ=environment(), is_system=is_system)
    systemd.require()
    shown = [systemd.show(unit) for unit in _installed(systemd, names)]
    if is_json:
        print_json({"services": [_document(each) for each in shown]})
    elif not shown:
        write("No services are installed; `galaxy services install` does that.")
    else:
        print_table(
            ("UNIT", "STATE", "PID", "RESTARTS", "SAYS"),
            [
                (
                    each.get("Id", ""),
                    f"{each.get('ActiveState', '')} ({each.get('SubState', '')})",
                    each.get("MainPID", "0").removeprefix("0"),
                    each.get("NRestarts", ""),
                    each.get("StatusText", ""),
                )
                for each in shown
            ],
            elastic=4,
        )
    are_good = shown and all(
        each.get("ActiveState") in _GOOD and each.get("SubState") not in _FAILING for each in shown
    )
    return ExitCode.OK if are_good else ExitCode.FAILURE


def logs(
    *,
    names: Sequence[str],
    is_system: bool,
    lines: int,
    is_following: bool,
    is_dry: bool,
    is_json: bool,
) -> ExitCode:
    """Show what the services said, by journalctl."""
    import subprocess

    _check(names)
    systemd = Systemd(environ=environment(), is_system=is_system)
    systemd.require()
    units = _installed(systemd, names, with_timed=True)
    if not units:
        warn("galaxy: no services are installed; `galaxy services install` does that.")
        return ExitCode.FAILURE
    command = systemd.log_command(units, lines=lines, is_following=is_following)
    if is_json:
        command.append("--output=json")
    if is_dry:
        write(" ".join(command))
        return ExitCode.OK
    try:
        code = subprocess.run(command, check=False).returncode
    except FileNotFoundError:
        warn("galaxy: there is no journalctl here, so the log is where your system puts it.")
        return ExitCode.FAILURE
    return ExitCode.OK if code == 0 else ExitCode.FAILURE


def _check(names: Sequence[str]) -> None:
    for name in names:
        if name not in NAMES:
            raise UsageError(
                f"there is no service {name!r}{nearest(name, NAMES)}; there are {', '.join(NAMES)}"
            )


def _installed(
    systemd: Systemd, names: Sequence[str], *, with_timed: bool = False
) -> tuple[str, ...]:
    """Units of the files that are there; what a timer starts only where it is asked for."""
    installer = Installer(systemd, write)
    ours, others = installer.found(names)
    files = [*ours, *others]
    timed = {file.name.replace(".timer", ".service") for file in files if file.suffix == ".timer"}
    return tuple(
        unit
        for file in files
        if with_timed or file.name not in timed
        for unit in installer.units_of(file)
    )


def _document(shown: dict[str, str]) -> dict[str, Any]:
    pid = int(shown.get("MainPID") or 0)
    return {
        "unit": shown.get("Id"),
        "state": shown.get("ActiveState"),
        "substate": shown.get("SubState"),
        "pid": pid or None,
        "restarts": int(shown.get("NRestarts") or 0),
        "result": shown.get("Result"),
        "status": shown.get("StatusText") or None,
    }
