"""Which of the machines in the settings this is, and where its folder lies."""

from __future__ import annotations

import socket
from pathlib import Path

from attrs import frozen

from galaxy_apps.settings.model import MachineSettings, MachinesSettings
from galaxy_apps.settings.problems import SettingsError, nearest

HERE = frozenset({"", "localhost", "127.0.0.1", "::1"})


@frozen(kw_only=True)
class Machine:
    """One machine, as Hermes and the command line use it."""

    name: str
    repo_path: Path
    """Absolute; `~` and relative paths are resolved."""
    names: frozenset[str] | None
    """Names (casefolded) under which orders reach it; None: it has none, so every target is its."""
    others: frozenset[str] = frozenset()
    """Names (casefolded) of machines that share its folder and have a Hermes of their own."""
    is_local: bool = True


def host_names() -> frozenset[str]:
    """This host's own names, casefolded: in full, and up to the first dot."""
    full = socket.gethostname().casefold()
    return frozenset({full, full.split(".")[0]})


def is_local(machine: MachineSettings) -> bool:
    """Whether the machine is the one this process runs on."""
    host = machine.host.strip().casefold()
    return host in HERE or host in host_names()


def choose_machine(
    settings: MachinesSettings, folder: Path, *, wanted: str | None = None
) -> Machine:
    """The machine `wanted`, else the default one if it is here, else the only one here.

    With no machine in the settings it is this host, under its own name or the one wanted, in
    `folder` (the one that holds `.galaxy`).  Raises `SettingsError`.
    """
    if not settings.machines:
        return _single(settings, folder, wanted)
    name = _find(settings, wanted) if wanted else _only_one_here(settings)
    return _machine(settings, folder, name)


def local_machines(settings: MachinesSettings, folder: Path) -> tuple[Machine, ...]:
    """Every machine that is served on this host, the default one first if it is among them.

    Raises `SettingsError` when there is none, or the folder of one is missing.
    """
    if not settings.machines:
        return (_single(settings, folder, None),)
    here = [name for name, machine in settings.machines.items() if is_local(machine)]
    if not here:
        raise SettingsError(_none_here('set the "host" of one that is to "localhost"'))
    if settings.default_machine is not None:
        default = _find(settings, settings.default_machine)
        here.sort(key=lambda name: name != default)
    return tuple(_machine(settings, folder, name) for name in here)


def names_elsewhere(settings: MachinesSettings) -> tuple[str, ...]:
    """Names of the machines that other hosts serve."""
    return tuple(name for name, machine in settings.machines.items() if not is_local(machine))


def _none_here(remedy: str) -> str:
    return f"machines: none of them is this host ({socket.gethostname()}); {remedy}"


def _single(settings: MachinesSettings, folder: Path, wanted: str | None) -> Machine:
    named = wanted or settings.legacy_name
    path = _resolved(settings.legacy_repo_path, folder)
    if not path.is_dir():
        raise SettingsError(f"repo_path: there is no folder {path}")
    return Machine(
        name=named or socket.gethostname(),
        repo_path=path,
        names=frozenset({named.casefold()}) if named else None,
    )


def _find(settings: MachinesSettings, wanted: str) -> str:
    for name, machine in settings.machines.items():
        if wanted.casefold() in _names(name, machine):
            return name
    known = ", ".join(settings.machines)
    hint = nearest(wanted, settings.machines)
    raise SettingsError(f"machines: there is no machine {wanted!r}{hint} (there are: {known})")


def _only_one_here(settings: MachinesSettings) -> str:
    default = settings.default_machine
    here = [name for name, machine in settings.machines.items() if is_local(machine)]
    if default is not None:
        name = _find(settings, default)
        if name in here or not here:
            return name
    if len(here) == 1:
        return here[0]
    if not here:
        raise SettingsError(
            _none_here('say which one it is with --machine, or set its "host" to "localhost"')
        )
    raise SettingsError(
        f"machines: several are on this host ({', '.join(here)}); choose one with --machine or "
        '"default_machine"'
    )


def _machine(settings: MachinesSettings, folder: Path, name: str) -> Machine:
    machine = settings.machines[name]
    path = _resolved(machine.repo_path, folder)
    where = f"machines.{name}"
    if not path.is_dir() and is_local(machine):
        raise SettingsError(f"{where}.repo_path: there is no folder {path}")
    if not path.is_dir():
        raise SettingsError(
            f"{where}: it is on host {machine.host}, and its folder {path} is not here; run this "
            "command there"
        )
    names = _names(name, machine)
    others = {
        other
        for each, there in settings.machines.items()
        if each != name and _resolved(there.repo_path, folder) == path
        for other in _names(each, there)
    }
    return Machine(
        name=name,
        repo_path=path,
        names=names,
        others=frozenset(others) - names,
        is_local=is_local(machine),
    )


def _names(name: str, machine: MachineSettings) -> frozenset[str]:
    return frozenset(n.casefold() for n in (name, machine.machine_name) if n)


def _resolved(path: Path | None, folder: Path) -> Path:
    """The absolute form of a path in the settings, with links in it resolved."""
    if path is None:
        return folder.resolve()
    return (folder / path.expanduser()).resolve()
