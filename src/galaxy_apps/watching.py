"""The composition root of the watchers: what each daemon looks at, and how it tells people."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from galaxy_core.ports.agent_care import AgentCare

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from galaxy_apps.home import Home
    from galaxy_apps.settings import Settings
    from galaxy_apps.wiring import Place
    from galaxy_core.ports.alert_sink import AlertSink
    from galaxy_core.ports.audit_sink import AuditSink
    from galaxy_core.ports.clock import Clock
    from galaxy_core.ports.dispatcher import Dispatcher
    from galaxy_core.ports.outbox import Outbox
    from galaxy_core.services.anchoring import AnchorDesk
    from galaxy_core.services.gateway.config import GatewayPorts
    from galaxy_core.services.health import Probe
    from galaxy_core.wire.layout import Layout

MEGABYTE = 1_000_000
GATEWAY = "gateway"
"""The gateway's watcher, in file names."""
_SAFE = re.compile(r"[A-Za-z0-9_-]{1,60}")


def watcher_of(machine: str) -> str:
    """A Hermes' watcher, in file names."""
    if _SAFE.fullmatch(machine):
        return f"hermes-{machine}"
    return f"hermes-x{machine.encode('utf-8', 'surrogatepass').hex()[:100]}"


@asynccontextmanager
async def watching_hermes(
    place: Place, dispatcher: Dispatcher, audit: AuditSink
) -> AsyncIterator[None]:
    """A Hermes' watcher, at work as long as the context lasts."""
    from galaxy_adapters.folder_filesystem import FilesystemMachineFolder
    from galaxy_adapters.presence_json import JsonPresence
    from galaxy_core.services.health import Probe, Pulse, probes

    machine, alerts, clock = place.machine.name, place.settings.alerts, place.clock()
    layout = place.layout
    gateway = Pulse(JsonPresence(layout, is_gateway=True), clock)
    little = alerts.free_megabytes * MEGABYTE
    async with AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(anyio.create_task_group())
        stack.callback(tasks.cancel_scope.cancel)
        looks = [
            Probe(name=GATEWAY, look=probes.GatewayLook(gateway)),
            probes.slowly(
                f"the queue of {machine}",
                probes.queue_look(machine, place.catalogue(), clock, alerts.queue_age),
            ),
            probes.slowly(
                f"the disk of {machine}",
                probes.disk_look(machine, FilesystemMachineFolder(layout), little),
            ),
        ]
        file = place.settings.audit.anchor_file
        if file is not None:
            tasks.start_soon(_anchors(place, file).keep, name="anchors")
        if isinstance(dispatcher, AgentCare):
            look = probes.AgentLook(machine, dispatcher, tasks)
            agent = Probe(name=f"the agent of {machine}", look=look, every=probes.AGENT_EVERY)
            looks.append(agent)
        await _start(
            stack,
            tasks,
            place.settings,
            looks,
            sender=f"Hermes ({machine})",
            name=machine,
            layout=layout,
            watcher=watcher_of(machine),
            outbox=place.outbox(),
            audit=audit,
            clock=clock,
        )
        yield


def _anchors(place: Place, file: Path) -> AnchorDesk:
    """Who writes the trail's head into a file each day, whether there is a gateway or not."""
    from galaxy_adapters.anchors_file import FileAnchorLog
    from galaxy_core.services.anchoring import AnchorDesk

    trails = {place.machine.name: place.audit_trail()}
    return AnchorDesk(trails, place.outbox(), place.clock(), FileAnchorLog(file), is_told=False)


@asynccontextmanager
async def watching_gateway(home: Home, ports: GatewayPorts) -> AsyncIterator[None]:
    """The gateway's watcher, at work as long as the context lasts."""
    from galaxy_adapters.folder_filesystem import FilesystemMachineFolder
    from galaxy_core.services.health import Probe, Pulse, probes

    settings, clock = home.configuration.settings, ports.clock
    looks = [
        Probe(
            name=f"Hermes on {machine.name}",
            look=probes.HermesLook(
                machine.name, Pulse(machine.presence, clock), machine.catalogue, clock
            ),
        )
        # Machines that share a folder share its heartbeat.
        for machine in ports.folders
    ]
    has_others = len(ports.channels) > len(ports.reports)
    channels = probes.channels_look(ports.reports, has_others=has_others)
    looks += [
        Probe(name="the channels", look=channels),
        probes.slowly(
            "the outboxes", probes.outbox_look({box.name: box.outbox for box in ports.mailboxes})
        ),
    ]
    if all(machine.layout != home.layout for machine in ports.machines.values()):
        folder = FilesystemMachineFolder(home.layout)
        little = settings.alerts.free_megabytes * MEGABYTE
        looks.append(probes.slowly("the gateway's disk", probes.disk_look(GATEWAY, folder, little)))
    async with AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(anyio.create_task_group())
        stack.callback(tasks.cancel_scope.cancel)
        await _start(
            stack,
            tasks,
            settings,
            looks,
            sender="Caduceus",
            name=GATEWAY,
            layout=home.layout,
            watcher=GATEWAY,
            outbox=ports.outbox,
            audit=ports.mailboxes[0].trail,
            clock=clock,
        )
        yield


async def _start(  # noqa: PLR0913 - a composition root: each is one wire
    stack: AsyncExitStack,
    tasks: TaskGroup,
    settings: Settings,
    looks: Sequence[Probe],
    *,
    sender: str,
    name: str,
    layout: Layout,
    watcher: str,
    outbox: Outbox,
    audit: AuditSink,
    clock: Clock,
) -> None:
    from galaxy_adapters.alerts_json import JsonAlertBook
    from galaxy_core.services.health import AlertConfig, AlertDesk, Watch
    from galaxy_core.services.trail import Trail

    trail = Trail(audit, clock, name)
    desk = AlertDesk(
        AlertConfig(sender=sender, quiet=settings.alerts.quiet),
        JsonAlertBook(layout.alerts(watcher)),
        outbox,
        trail,
        clock,
        alert_sink(settings, stack),
    )
    watch = Watch(looks, desk, trail, clock)
    tasks.start_soon(watch.run, name="watch")


def alert_sink(settings: Settings, stack: AsyncExitStack) -> AlertSink | None:
    """The second way out, open as long as the stack is; None where none is set."""
    url, token = settings.alerts.url, settings.alerts.token
    if url is None:
        return None
    from galaxy_adapters.alerts_ntfy import NtfyAlerts, NtfyTopic
    from galaxy_apps.wiring import secret_mask
    from galaxy_core.services.masking import MaskingAlertSink

    topic = NtfyTopic(url=url.reveal(), token=token.reveal() if token else None)
    sink = NtfyAlerts(topic)
    stack.push_async_callback(sink.aclose)
    mask = secret_mask(settings)
    return sink if mask is None else MaskingAlertSink(sink, mask)
