"""One look at everything: what `galaxy health` and `galaxy doctor` are made of.

Nothing is started, changed or waited for, so it works while everything is down.  A look that does
not come to its end in time is a finding of its own, and holds up no other one.
"""

from __future__ import annotations

import shutil
import stat
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread
from attrs import define, field

from galaxy_apps.home import TELEGRAM, Home
from galaxy_apps.settings import DispatcherKind, environment
from galaxy_apps.wiring import Place
from galaxy_core.domain.errors import DispatcherUnavailable, GalaxyError
from galaxy_core.domain.health import Check
from galaxy_core.domain.insight import Level
from galaxy_core.domain.operations import Heartbeat
from galaxy_core.domain.run import DispatcherHealth
from galaxy_core.domain.state import OrderState
from galaxy_core.services.health import DEAD_AFTER, checks
from galaxy_core.services.health.probes import waiting_orders

if TYPE_CHECKING:
    from galaxy_core.wire.layout import Layout

LIMIT = timedelta(milliseconds=1500)
"""For all looks together: people and timers wait for it."""
STEP = timedelta(milliseconds=100)
"""The limit is counted in these, however long one takes: where a busy processor or a cold disk
keeps us from running, it is we who are late, not what we look at."""
PATIENT = timedelta(seconds=60)
"""The same for `galaxy doctor`, which asks opencode for its models."""
LATE = timedelta(seconds=3)
"""A heartbeat is written by a machine that is busy with other things, too."""
MEGABYTE = 1_000_000
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
Look = Callable[[], Awaitable[Sequence[Check]]]


@define(eq=False)
class Examination:
    """Looks at everything that the settings name on this host."""

    _home: Home
    _environ: Mapping[str, str] = field(factory=environment, repr=False)
    _is_patient: bool = False
    """Whether it may take its time, and ask others."""
    is_complete: bool = field(default=True, init=False)
    """False where a look did not come to its end: its thread may hang for ever."""
    _places: Sequence[Place] = field(init=False)

    def __attrs_post_init__(self) -> None:
        configuration = self._home.configuration
        self._places = [
            Place(configuration.settings, machine, environ=self._environ)
            for machine in configuration.machines()
        ]

    async def run(self, tell: Callable[[Sequence[Check]], None]) -> None:
        """Look, all at once, and tell what was seen in the order of the looks.

        After `tell` it may still wait for threads that hang, where `is_complete` is false.
        """
        looks = self._looks()
        seen: dict[str, Sequence[Check]] = {}
        done = anyio.Event()

        async def look_at(name: str, look: Look) -> None:
            try:
                seen[name] = await look()
            except (GalaxyError, OSError) as error:
                seen[name] = [_failed(name, str(error))]
            if len(seen) == len(looks):
                done.set()

        async with anyio.create_task_group() as tasks:
            for name, look in looks.items():
                tasks.start_soon(look_at, name, look, name=name)
            limit = PATIENT if self._is_patient else LIMIT
            for _ in range(limit // STEP):
                with anyio.move_on_after(STEP.total_seconds()):
                    await done.wait()
                    break
            self.is_complete = len(seen) == len(looks)
            tell([check for name in looks for check in seen.get(name, [_late(name, limit)])])
            tasks.cancel_scope.cancel()

    def _looks(self) -> Mapping[str, Look]:
        looks: dict[str, Look] = {}
        for place in self._places:
            name = place.machine.name
            looks |= {
                f"agent:{name}": partial(self._agent, place),
                f"hermes:{name}": partial(self._hermes, place),
            }
        looks |= {"gateway": self._gateway}
        for place in self._folders():
            name = place.machine.name
            looks |= {
                f"queue:{name}": partial(_queue, place),
                f"dead:{name}": partial(_dead, place),
                f"outbox:{name}": partial(_outbox, place),
                f"disk:{name}": partial(_disk, name, place),
                f"audit:{name}": partial(_audit, name, place.layout),
            }
        looks |= {"clock": self._clock, "secrets": self._secrets, "tools": self._tools}
        looks |= {f"provider:{p.machine.name}": partial(self._provider, p) for p in self._places}
        return looks

    def _folders(self) -> Sequence[Place]:
        """One place for each folder."""
        return list({place.layout.repo_path: place for place in reversed(self._places)}.values())

    # ---- daemons

    async def _agent(self, place: Place) -> Sequence[Check]:
        if place.settings.hermes.dispatcher is not DispatcherKind.OPENCODE_SERVER:
            return []
        try:
            version = await _server_version(place)
        except DispatcherUnavailable as error:
            health = DispatcherHealth(is_ready=False, name="opencode", problem=str(error))
        else:
            if version is None:
                return [checks.agent(place.machine.name, None, is_only=self._is_only)]
            health = DispatcherHealth(is_ready=True, name="opencode", version=version)
        return [checks.agent(place.machine.name, health, is_only=self._is_only)]

    @property
    def _is_only(self) -> bool:
        return len(self._places) == 1

    async def _hermes(self, place: Place) -> Sequence[Check]:
        heartbeat = await place.presence().read()
        views = await place.catalogue().list(
            states=frozenset(OrderState) - {s for s in OrderState if s.is_final}, limit=20
        )
        silence = _silence(heartbeat, place)
        return [checks.hermes(place.machine.name, heartbeat, silence, waiting=len(views))]

    async def _gateway(self) -> Sequence[Check]:
        from galaxy_adapters.presence_json import JsonPresence

        settings = self._home.configuration.settings
        heartbeat = await JsonPresence(self._home.layout, is_gateway=True).read()
        is_wanted = settings.telegram.token is not None or settings.web.enabled is True
        silence = _silence(heartbeat, self._home)
        gateway = checks.gateway(heartbeat, silence, is_wanted=is_wanted)
        found = [gateway]
        if heartbeat is not None and silence is None and heartbeat.status != checks.STOPPED:
            # Of one that is silent nobody knows how it gets on.
            found += [checks.channel(s) for s in heartbeat.channels if s.name == TELEGRAM]
        return found

    # ---- around them

    async def _clock(self) -> Sequence[Check]:
        from galaxy_adapters.presence_json import JsonPresence

        gateway = JsonPresence(self._home.layout, is_gateway=True)
        read = [await one.read() for one in (*(p.presence() for p in self._places), gateway)]
        beats = [heartbeat for heartbeat in read if heartbeat is not None]
        return [checks.clock(beats, self._home.clock().now())]

    async def _secrets(self) -> Sequence[Check]:
        folder = self._home.layout.settings_folder
        path = self._home.configuration.path
        files = [path] if path is not None and self._has_secrets() else []
        files += [folder / "web-token", self._home.layout.gateway_notes]
        open_ones = [str(file) for file in files if _is_open_to_others(file)]
        if not open_ones:
            return [Check(key="secrets", level=Level.WELL, text="Secrets are private")]
        return [
            Check(
                key="secrets",
                level=Level.UNWELL,
                text=f"Others on this machine can read {', '.join(open_ones)}",
                remedy=f"Run: chmod 600 {' '.join(open_ones)}",
            )
        ]

    def _has_secrets(self) -> bool:
        return bool(self._home.configuration.settings.secrets())

    async def _tools(self) -> Sequence[Check]:
        if all(p.settings.hermes.dispatcher is DispatcherKind.SCRIPTED for p in self._places):
            return []
        path = self._environ.get("PATH")
        found = [name for name in ("rg", "git") if shutil.which(name, path=path)]
        if len(found) == len(_TOOLS):
            return [Check(key="tools", level=Level.WELL, text="rg and git are on the PATH")]
        return [
            Check(
                key=f"tool:{name}",
                level=Level.DOUBTFUL,
                text=f"{name} is not on the PATH; opencode needs it",
                remedy=f"Install it: {_TOOLS[name]}.",
            )
            for name in _TOOLS
            if name not in found
        ]

    async def _provider(self, place: Place) -> Sequence[Check]:
        from galaxy_apps.up.provider import find_provider
        from galaxy_apps.wiring import require_agent

        key, name = f"provider:{place.machine.name}", place.machine.name
        try:
            opencode = require_agent(place.settings, self._environ)
        except DispatcherUnavailable as error:
            what, _, remedy = str(error).partition(". ")
            return [Check(key=key, level=Level.UNWELL, text=what, remedy=remedy, machine=name)]
        if opencode is None:  # somebody else's server, or no model at all
            return []
        if place.settings.opencode.model is not None:
            text = f"The settings name a model ({place.settings.opencode.model})"
            return [Check(key=key, level=Level.WELL, text=text, machine=name)]
        asked = opencode if self._is_patient else None
        provider = await to_thread.run_sync(
            find_provider, self._environ, place.machine.repo_path, asked, abandon_on_cancel=True
        )
        if provider is not None:
            text = f"A model provider is set up ({provider.source})"
            return [Check(key=key, level=Level.WELL, text=text, machine=name)]
        return [
            Check(
                key=key,
                level=Level.UNWELL if self._is_patient else Level.DOUBTFUL,
                text="No model provider is set up",
                remedy="Run: opencode auth login (or set a variable like ANTHROPIC_API_KEY)."
                + " `galaxy doctor` asks opencode itself." * (not self._is_patient),
                machine=name,
            )
        ]


_TOOLS = {
    "rg": "apt install ripgrep, or brew install ripgrep",
    "git": "apt install git, or brew install git",
}


def _silence(heartbeat: Heartbeat | None, place: Place | Home) -> timedelta | None:
    """How old a heartbeat is that is too old; None for a fresh one, or none."""
    if heartbeat is None:
        return None
    age = place.clock().now() - heartbeat.last_heartbeat_at
    return age if age > DEAD_AFTER + LATE else None


async def _server_version(place: Place) -> str | None:
    """The version of the opencode server that is used; None where none was needed so far."""
    from galaxy_adapters.dispatch_opencode_server import (
        Endpoint,
        GivenServer,
        OwnServer,
        OwnServerSettings,
    )

    opencode = place.settings.opencode
    if opencode.url is not None:
        password = opencode.password.reveal() if opencode.password else None
        given = GivenServer(Endpoint(opencode.url, password))
        try:
            return await given.client().version()
        finally:
            await given.aclose()
    settings = OwnServerSettings(machine=place.machine.repo_path, environment=place.environ)
    return await OwnServer(settings).look()


async def _queue(place: Place) -> Sequence[Check]:
    limit = place.settings.alerts.queue_age
    waiting, oldest = await waiting_orders(place.catalogue(), place.clock())
    return [checks.queue(place.machine.name, waiting, oldest, limit)]


async def _dead(place: Place) -> Sequence[Check]:
    from galaxy_adapters.queue_filesystem import undecided_dead_letters

    dead = await to_thread.run_sync(undecided_dead_letters, place.layout, abandon_on_cancel=True)
    return [checks.dead_letters(place.machine.name, dead)]


async def _outbox(place: Place) -> Sequence[Check]:
    count, name = await place.outbox().count(), place.machine.name
    return [checks.outbox(name, count), checks.undeliverable(name, count)]


async def _disk(name: str, place: Place) -> Sequence[Check]:
    from galaxy_adapters.folder_filesystem import FilesystemMachineFolder

    little = place.settings.alerts.free_megabytes * MEGABYTE
    space = await FilesystemMachineFolder(place.layout).space()
    return [checks.disk(name, space, little)]


async def _audit(name: str, layout: Layout) -> Sequence[Check]:
    from galaxy_adapters.audit_jsonl import verify_newest

    key = f"audit:{name}"
    report = await to_thread.run_sync(verify_newest, layout.audit_log, abandon_on_cancel=True)
    if report.is_intact:
        head = f" ({report.head[:12]})" if report.head else ", and empty"
        text = f"The end of the audit trail is intact{head}"
        return [Check(key=key, level=Level.WELL, text=text, machine=name)]
    return [
        Check(
            key=key,
            level=Level.UNWELL,
            text=f"The audit trail is not intact: {report.faults[0]}",
            remedy="Run: galaxy audit verify. Somebody changed it, or a disk lost some of it.",
            machine=name,
        )
    ]


def _is_open_to_others(path: Path) -> bool:
    try:
        return bool(stat.S_IMODE(path.stat().st_mode) & _OTHERS)
    except OSError:
        return False


def _failed(name: str, error: str) -> Check:
    return Check(
        key=name,
        level=Level.UNWELL,
        text=f"{_subject(name)} cannot be looked at: {error.rstrip('.')}",
        remedy="Is the folder there, and its disk, and may this user read it?",
    )


_SUBJECTS = {
    "agent": "opencode serve",
    "hermes": "Hermes' sign of life",
    "gateway": "The gateway's sign of life",
    "queue": "The queue",
    "dead": "The list of dead letters",
    "outbox": "The outbox",
    "disk": "The disk",
    "audit": "The audit trail",
    "clock": "The clock",
    "secrets": "Who can read the secrets",
    "tools": "The PATH",
    "provider": "The model provider",
}


def _subject(look: str) -> str:
    """What a look is at, for people."""
    kind, _, machine = look.partition(":")
    return f"{_SUBJECTS[kind]} of {machine}" if machine else _SUBJECTS[kind]


def _late(name: str, limit: timedelta) -> Check:
    return Check(
        key=name,
        level=Level.UNWELL,
        text=f"{_subject(name)} gave no answer within {limit.total_seconds():.1f} s",
        remedy="What it needs is overloaded or hangs: run `galaxy doctor`, which waits longer.",
    )
