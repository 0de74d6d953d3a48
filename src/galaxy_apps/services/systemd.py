"""The service manager, by its own commands."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import frozen

from galaxy_apps.services.rendering import BASE, NEEDS_NAMESPACE
from galaxy_core.domain.errors import PermanentError

_PATIENCE_S = 300
"""A start waits until the service is ready, a stop until it has drained."""
_SHOWN = ("Id", "ActiveState", "SubState", "StatusText", "MainPID", "NRestarts", "Result")


class ServicesUnavailable(PermanentError):
    """There is no service manager that can be used."""


class ServiceCommandFailed(PermanentError):
    """The manager refused."""


@frozen(kw_only=True)
class Systemd:
    """A user's manager, or the system's."""

    environ: Mapping[str, str]
    is_system: bool = False

    @property
    def folder(self) -> Path:
        """Where units are put."""
        if self.is_system:
            return Path("/etc/systemd/system")
        home = Path(self.environ.get("HOME") or Path.home())
        return Path(self.environ.get("XDG_CONFIG_HOME") or home / ".config") / "systemd" / "user"

    @property
    def words(self) -> tuple[str, ...]:
        """`systemctl` for this manager."""
        return ("systemctl",) if self.is_system else ("systemctl", "--user")

    @property
    def option(self) -> str:
        """What `galaxy services` is told, to mean this manager."""
        return " --system" if self.is_system else ""

    def require(self) -> None:
        """Raises `ServicesUnavailable` with what to do, where the manager does not answer."""
        if shutil.which("systemctl") is None:
            raise ServicesUnavailable(
                "There is no systemd here. docs/how-to/run-as-a-service.md tells how launchd, a "
                "container or anything else runs the programs."
            )
        answer = self._run(*self.words, "show", "--property=Version")
        if answer.returncode != 0:
            hint = (
                "run it as root"
                if self.is_system
                else "log in as yourself (not with su or sudo), or use --system"
            )
            raise ServicesUnavailable(
                f"The service manager does not answer ({_said(answer)}); {hint}."
            )

    def require_rights(self) -> None:
        """Raises `ServicesUnavailable` where this user may not change the manager's units."""
        if self.is_system and os.geteuid() != 0:
            raise ServicesUnavailable(
                "Only root changes the system's services: use sudo, or leave out --system."
            )

    def impossible(self) -> frozenset[str]:
        """Settings of `NEEDS_NAMESPACE` that no service can have here; tried out: hosts differ."""
        if self.is_system or self._can(NEEDS_NAMESPACE):
            return frozenset()
        if not self._can([BASE]):
            return frozenset(NEEDS_NAMESPACE)
        return frozenset(name for name in NEEDS_NAMESPACE if not self._can({BASE, name}))

    def _can(self, names: Iterable[str]) -> bool:
        options = [f"--property={name}={NEEDS_NAMESPACE[name]}" for name in sorted(names)]
        words = ("systemd-run", "--user", "--wait", "--collect", "--quiet", *options, "true")
        return self._run(*words).returncode == 0

    def do(self, *words: str) -> None:
        """One command; raises `ServiceCommandFailed` with what the manager said."""
        answer = self._run(*self.words, *words)
        if answer.returncode != 0:
            raise ServiceCommandFailed(
                f"`{' '.join((*self.words, *words))}`: {_said(answer)} "
                f"`galaxy services status{self.option}` shows which, "
                f"`galaxy services logs{self.option}` why."
            )

    def units(self, *patterns: str, state: str | None = None) -> tuple[str, ...]:
        """Units of these names that the manager knows, in any state if none is given."""
        listing = ("list-units", "--all", "--plain", "--no-legend", "--no-pager")
        choice = () if state is None else (f"--state={state}",)
        answer = self._run(*self.words, *listing, *choice, "--", *patterns)
        return tuple(line.split()[0] for line in answer.stdout.splitlines() if line.split())

    def show(self, unit: str) -> dict[str, str]:
        """How a unit is."""
        names = [f"--property={name}" for name in _SHOWN]
        answer = self._run(*self.words, "show", *names, "--", unit)
        return dict(line.split("=", 1) for line in answer.stdout.splitlines() if "=" in line)

    def log_command(self, units: tuple[str, ...], *, lines: int, is_following: bool) -> list[str]:
        """The command that shows what the units said."""
        option = "--unit" if self.is_system else "--user-unit"
        words = ["journalctl", *(f"{option}={unit}" for unit in units), f"--lines={lines}"]
        return [*words, "--follow"] if is_following else [*words, "--no-pager"]

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_PATIENCE_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return subprocess.CompletedProcess(words, 1, "", str(error))


def is_lingering(user: str) -> bool:
    """Whether the user's services run while nobody is logged in."""
    return Path("/var/lib/systemd/linger", user).exists()


def _said(answer: subprocess.CompletedProcess[str]) -> str:
    return " ".join((answer.stderr or answer.stdout).split()) or f"exit code {answer.returncode}"
