"""Which services the settings ask for, and what is written into their units."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from attrs import field, frozen

from galaxy_apps.services.rendering import Rendering, instance, plain, quoted, word, words
from galaxy_apps.settings import Configuration, DispatcherKind, Machine, SettingsError, variables
from galaxy_core.wire.layout import Layout

HERMES, AGENT = "caduceus-hermes", "opencode-serve"
GATEWAY, DASHBOARD, HEALTH = "caduceus-gateway", "galaxy-dashboard", "galaxy-health-check"
NAMES = (GATEWAY, HERMES, DASHBOARD, HEALTH, AGENT)
"""Every service there is."""
FILES: Mapping[str, tuple[str, ...]] = {
    GATEWAY: (f"{GATEWAY}.service",),
    HERMES: (f"{HERMES}.service", f"{HERMES}@.service"),
    DASHBOARD: (f"{DASHBOARD}.service",),
    HEALTH: (f"{HEALTH}.service", f"{HEALTH}.timer"),
    AGENT: (f"{AGENT}.service", f"{AGENT}@.service"),
}
"""Files that may belong to each."""
TOKEN = "telegram_token"  # noqa: S105  a name
BIN_VARIABLE = "GALAXY_OPENCODE_BIN"
STOP_MARGIN_S = 30
"""What Hermes may need beyond `drain_timeout`: ten seconds to write, seven to end the agent."""
_EVERYWHERE = ("/usr/local/bin", "/usr/bin", "/bin")


@frozen(kw_only=True)
class Service:
    """One service as it is installed here."""

    name: str
    files: tuple[str, ...]
    """Of `services/`."""
    units: tuple[str, ...]
    """What is enabled and started."""


@frozen(kw_only=True)
class Plan:
    """What is installed for one settings file."""

    configuration: Configuration
    environ: Mapping[str, str] = field(repr=False)
    is_system: bool = False
    impossible: frozenset[str] = frozenset()
    """What the manager here cannot do."""

    @property
    def config(self) -> Path:
        """The settings file; raises `SettingsError` where there is none."""
        if self.configuration.path is None:
            raise SettingsError("services need a settings file; `galaxy init` writes one")
        return self.configuration.path.resolve()

    @property
    def owner(self) -> tuple[int, int]:
        """User and group of the folder: as them the system's services run."""
        found = self.configuration.folder.stat()
        return found.st_uid, found.st_gid

    @property
    def token_file(self) -> Path | None:
        """The file that holds the bot's token alone; None where there is none."""
        path = self.config.with_name(TOKEN)
        return path if path.is_file() else None

    # ---- which

    def services(
        self, wanted: Sequence[str], *, installed: Collection[str] = ()
    ) -> tuple[Service, ...]:
        """What is asked for; without names, all that the settings have use for.

        What is `installed`, by name, is then meant, too: it is brought up to date with the rest.
        Raises `SettingsError` for what cannot be had.
        """
        for name in wanted:
            if (reason := self.obstacle(name)) is not None:
                raise SettingsError(f"{name}: {reason}")
        by_name_only = {DASHBOARD} - {*installed}
        names = wanted or [
            name for name in NAMES if name not in by_name_only and self.obstacle(name) is None
        ]
        return tuple(self._service(name) for name in NAMES if name in names)

    def obstacle(self, name: str) -> str | None:
        """Why there is no use for the service; None when there is."""
        settings = self.configuration.settings
        if name == GATEWAY:
            has_telegram = settings.telegram.token is not None or self.token_file is not None
            if not has_telegram and settings.web.enabled is not True:
                return (
                    f"it has nothing to listen to; put the bot's token into {self.config.parent}/"
                    f"{TOKEN} (mode 0600), or set telegram_token or web.enabled"
                )
        if name == AGENT:
            if settings.hermes.dispatcher is not DispatcherKind.OPENCODE_SERVER:
                return f"the dispatcher is {settings.hermes.dispatcher.value}, which has no server"
            if settings.opencode.url is not None:
                return "opencode.url names a server that somebody else runs"
        if name == DASHBOARD and not _is_there("galaxy_apps.dashboard"):
            return "this version has no galaxy-dashboard"
        if name == HEALTH and not _is_there("galaxy_apps.cli.health"):
            return "this version has no galaxy health"
        return None

    def _service(self, name: str) -> Service:
        if name not in {HERMES, AGENT}:
            file = FILES[name][-1]  # a timer starts its service
            return Service(name=name, files=FILES[name], units=(file,))
        plain_file, template = FILES[name]
        machines = self.machines
        if len(machines) == 1:
            return Service(name=name, files=(plain_file,), units=(plain_file,))
        units = tuple(f"{name}@{instance(machine.name)}.service" for machine in machines)
        return Service(name=name, files=(template,), units=units)

    @property
    def machines(self) -> tuple[Machine, ...]:
        """Those of this host."""
        return self.configuration.machines()

    # ---- what is written

    def text(self, file: str) -> str:
        """One unit file, whole."""
        settings, folder = self.configuration.settings, self.configuration.folder.resolve()
        is_template = "@." in file
        agent = f"{AGENT}@%i.service" if is_template else f"{AGENT}.service"
        is_cli = settings.hermes.dispatcher is DispatcherKind.OPENCODE_CLI
        user, group = self.owner
        token = self.token_file
        binary = self.environ.get(BIN_VARIABLE)
        values: dict[str, str | None] = {
            "python": word(sys.executable),
            "config": word(str(self.config)),
            "folder": plain(str(folder)),
            "path": quoted(f"PATH={self.path}"),
            "environment": quoted(f"{BIN_VARIABLE}={binary}") if binary else None,
            TOKEN: f"{TOKEN}:{plain(str(token))}" if token else None,
            "agent": agent if self.obstacle(AGENT) is None else None,
            "hermes_stop": str(int(settings.hermes.drain_timeout.total_seconds()) + STOP_MARGIN_S),
            # What works inside Hermes' own group must not share its limit: `opencode run`, and a
            # server without a unit under the system's manager, which gives it no scope.
            "hermes_memory": None if is_cli or self.is_system else "512M",
            # A /tmp of its own would hide a project that lies in the other one.
            "private_tmp": None if any(map(_is_temporary, (folder, *self.writable))) else "yes",
            "writable": words([str(each) for each in self.writable]),
            "user": str(user),
            "group": str(group),
        }
        return Rendering(
            values=values,
            owner=str(self.config),
            is_system=self.is_system,
            impossible=self.impossible,
        ).of(file)

    @property
    def writable(self) -> tuple[Path, ...]:
        """Folders in which gateway, dashboard and health check write."""
        roots = [self.configuration.folder, *(machine.repo_path for machine in self.machines)]
        layouts = [Layout(root.resolve()) for root in roots]
        return tuple(
            dict.fromkeys(
                folder
                for layout in layouts
                for folder in (layout.settings_folder, layout.notepads.parent, layout.logs)
            )
        )

    @property
    def path(self) -> str:
        """Where programs are found: as in the shell that installs, our own programs first.

        The agent needs `opencode`, `rg` and `git`, and the project's tools beside them.
        """
        own = os.path.dirname(sys.executable)  # noqa: PTH120  a venv's python is a link
        found = [own, *self.environ.get("PATH", "").split(":"), *_EVERYWHERE]
        usual = [each for each in found if each.startswith("/") and Path(each).is_dir()]
        return ":".join(dict.fromkeys(usual))

    def missing(self) -> tuple[str, ...]:
        """What the agent needs and a service would not find."""
        import shutil

        from galaxy_adapters._opencode import find_opencode
        from galaxy_core.domain.errors import DispatcherUnavailable

        kind = self.configuration.settings.hermes.dispatcher
        if kind is DispatcherKind.SCRIPTED or self.configuration.settings.opencode.url:
            return ()
        lacking = [name for name in ("rg", "git") if shutil.which(name, path=self.path) is None]
        environ = {**self.environ, "PATH": self.path}
        if self.is_system and (home := _home_of(self.owner[0])) is not None:
            environ["HOME"] = home
        try:
            find_opencode(self.configuration.settings.opencode.bin, environ)
        except DispatcherUnavailable:
            lacking.insert(0, "opencode")
        return tuple(lacking)

    def shell_only(self) -> tuple[str, ...]:
        """Settings that stand in this shell's environment, where no service sees them."""
        return tuple(
            name for name in variables() if self.environ.get(name) and name != BIN_VARIABLE
        )


def _home_of(user: int) -> str | None:
    """The home folder of who runs the system's services, not of who installs them."""
    import pwd

    try:
        return pwd.getpwuid(user).pw_dir
    except KeyError:
        return None


def _is_temporary(path: Path) -> bool:
    return path.is_relative_to("/tmp") or path.is_relative_to("/var/tmp")  # noqa: S108


def _is_there(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None
