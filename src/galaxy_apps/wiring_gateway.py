"""The composition root of the gateway: settings in, `Caduceus` with its adapters out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from attrs import define, field

from galaxy_apps.home import NAME, TELEGRAM, WEB, Home
from galaxy_apps.settings import Machine, SettingsError
from galaxy_apps.wiring import Place, open_desk, secret_mask
from galaxy_apps.wiring_telegram import open_telegram
from galaxy_apps.wiring_web import open_web_channel
from galaxy_core.ports.reporting import Reporting

if TYPE_CHECKING:
    from galaxy_adapters.channel_web import WebChannel
    from galaxy_apps.vigil import Vigil
    from galaxy_core.ports.audit_sink import AuditSink
    from galaxy_core.ports.audit_trail import AuditTrail
    from galaxy_core.ports.channel import Channel
    from galaxy_core.ports.command_menu import CommandMenu
    from galaxy_core.ports.outbox import Outbox
    from galaxy_core.ports.presence import Presence
    from galaxy_core.ports.transcriber import Transcriber
    from galaxy_core.services.anchoring import AnchorDesk
    from galaxy_core.services.courier import Mailbox
    from galaxy_core.services.gateway.caduceus import Caduceus
    from galaxy_core.services.gateway.config import GatewayConfig, MachinePorts

CHANNELS = (TELEGRAM, WEB)
"""Every channel there is, by name."""
ALL_CHANNELS_NEED = (
    "telegram_token: it is not set, so there is nothing for the gateway to listen to; @BotFather "
    "gives one, and GALAXY_TELEGRAM_TOKEN may hold it instead; or set web.enabled, or run galaxy up"
)


@define
class GatewayPlan:
    """What the settings say that the gateway is; made before anything is opened.

    Raises `SettingsError` where it cannot be one.
    """

    home: Home
    wanted: Sequence[str] = ()
    """Names of channels; none: all that are set up."""
    has_web: bool | None = None
    """Whether the page's chat is served where nothing is wanted by name; None: as the settings
    say, and not where they say nothing."""
    machines: tuple[Machine, ...] = field(init=False)
    channels: tuple[str, ...] = field(init=False)

    def __attrs_post_init__(self) -> None:
        configuration = self.home.configuration
        self.machines = configuration.machines()
        settings = configuration.settings
        has_web = settings.web.enabled is True if self.has_web is None else self.has_web
        set_up = {TELEGRAM: settings.telegram.token is not None, WEB: has_web}
        self.channels = tuple(dict.fromkeys(self.wanted)) or tuple(
            name for name in CHANNELS if set_up[name]
        )
        if not self.channels:
            source = str(configuration.path) if configuration.path else None
            raise SettingsError(ALL_CHANNELS_NEED, source=source)
        if TELEGRAM in self.channels:
            configuration.telegram_token()


def gateway_config(plan: GatewayPlan) -> GatewayConfig:
    """What the settings mean for the gateway."""
    from galaxy_core.domain.policy import OrderLimits, Staleness
    from galaxy_core.services.gateway.config import GatewayConfig

    settings = plan.home.configuration.settings
    bot = settings.telegram.bot
    return GatewayConfig(
        home=NAME,
        other_machines=frozenset(
            name.casefold() for name in plan.home.configuration.machines_elsewhere()
        ),
        people=plan.home.people_of(plan.channels),
        groups=frozenset((TELEGRAM, str(group)) for group in bot.allowed_groups),
        staleness=Staleness(run_up_to=bot.stale_after, then=bot.stale_policy),
        order_limits=OrderLimits(payload_characters=settings.limits.payload_characters),
        orders_per_minute=bot.order_rate,
        waiting_orders=bot.queue_limit,
        projects={name: project.keywords for name, project in settings.projects.items()},
        pairing_time=timedelta(minutes=settings.pairing.minutes),
        has_drafts=bot.drafts,
        default_channel=TELEGRAM if TELEGRAM in plan.channels else WEB,
    )


@asynccontextmanager
async def build_gateway(
    plan: GatewayPlan,
    on_chat: Callable[[WebChannel | None], None] | None = None,
    vigil: Vigil | None = None,
) -> AsyncIterator[Caduceus]:
    """A Caduceus that is ready to `run`, for as long as the context lasts.

    `on_chat` is told the page's channel when it is open, and None before it closes; `vigil` hears
    how the loops get on.
    Raises `UnsupportedFilesystem`, `StorageUnavailable`, `SettingsError`.
    """
    import os

    from galaxy_apps.tidying import gateway_keeping_house
    from galaxy_apps.version import installed_version
    from galaxy_apps.watching import watching_gateway
    from galaxy_core.services.gateway.caduceus import Caduceus
    from galaxy_core.services.gateway.config import GatewayPorts

    home = plan.home
    async with AsyncExitStack() as stack:
        notes = await stack.enter_async_context(home.notes())
        places = [Place(home.configuration.settings, m, home.incidents) for m in plan.machines]
        sinks = Sinks(home)
        machines = {
            place.machine.name: await machine_ports(place, sinks, stack) for place in places
        }
        channels: dict[str, Channel] = {}
        menus: dict[str, CommandMenu] = {}
        if TELEGRAM in plan.channels:
            telegram = await open_telegram(home, plan.machines, notes, stack)
            channels[TELEGRAM] = menus[TELEGRAM] = telegram
        if WEB in plan.channels:
            web = await open_web_channel(home, stack)
            channels[WEB] = menus[WEB] = web
            if on_chat is not None:
                on_chat(web)
                stack.callback(on_chat, None)
        ports = GatewayPorts(
            channels=_masked(channels, home),
            machines=machines,
            mailboxes=_mailboxes(home, places, sinks),
            notes=notes,
            clock=home.clock(),
            menus=menus,
            transcriber=await _transcriber(home, stack),
            reports={n: each for n, each in channels.items() if isinstance(each, Reporting)},
            presences=_presences(home, places),
            home_trail=_home_trail(home, places),
            anchors=_anchors(home, places),
        )
        if vigil is not None:
            ports = vigil.over_gateway(ports)
        caduceus = Caduceus(gateway_config(plan), ports, os.getpid(), installed_version())
        home.incidents.hand_on_to(caduceus)
        async with watching_gateway(home, ports), gateway_keeping_house(home, ports):
            yield caduceus


def _masked(channels: Mapping[str, Channel], home: Home) -> Mapping[str, Channel]:
    """The channels, without secrets on the way out where the settings want it so."""
    from galaxy_core.services.masking import MaskingChannel

    mask = secret_mask(home.configuration.settings)
    if mask is None:
        return channels
    return {name: MaskingChannel(channel, mask) for name, channel in channels.items()}


@define
class Sinks:
    """One writer a trail: machines that share a folder share their trail."""

    home: Home
    _made: dict[str, AuditSink] = field(factory=dict, init=False)

    def of(self, place: Place | Home) -> AuditSink:
        """The writer of the place's trail."""
        path = str(place.layout.audit_log)
        if path not in self._made:
            self._made[path] = place.audit_sink()
        return self._made[path]


async def machine_ports(place: Place, sinks: Sinks, stack: AsyncExitStack) -> MachinePorts:
    """What gateway and page work with on one machine, open as long as the stack is."""
    from galaxy_core.services.gateway.config import MachinePorts
    from galaxy_core.services.trail import Trail

    machine, sink = place.machine, sinks.of(place)
    desk = await stack.enter_async_context(open_desk(place, sink))
    return MachinePorts(
        name=machine.name,
        names=(machine.names or frozenset()) | {machine.name.casefold()},
        layout=place.layout,
        desk=desk,
        catalogue=place.catalogue(),
        responses=place.responses(),
        sessions=place.sessions(),
        control=place.control(),
        progress=place.progress(),
        presence=place.presence(),
        audit_trail=place.audit_trail(),
        trail=Trail(sink, place.clock(), machine.name),
    )


def _home_trail(home: Home, places: Sequence[Place]) -> AuditTrail | None:
    """The gateway's own trail, where no machine has it."""
    is_shared = any(place.layout.repo_path == home.layout.repo_path for place in places)
    return None if is_shared else home.audit_trail()


def _presences(home: Home, places: Sequence[Place]) -> list[Presence]:
    """The gateway's sign of life: in its own folder, and where each Hermes looks for it."""
    from galaxy_adapters.presence_json import JsonPresence

    layouts = {home.layout: None} | {place.layout: None for place in places}
    return [JsonPresence(layout, is_gateway=True) for layout in layouts]


def _mailboxes(home: Home, places: Sequence[Place], sinks: Sinks) -> list[Mailbox]:
    """The gateway's own outbox first, then those of machines that lie elsewhere, each once."""
    from galaxy_core.services.courier import Mailbox

    boxes: dict[str, Mailbox] = {}

    def add(name: str, place: Place | Home) -> None:
        root = place.layout.repo_path
        outbox: Outbox = place.outbox()
        box = Mailbox(name=name, outbox=outbox, trail=sinks.of(place), root=root)
        boxes.setdefault(str(root), box)

    # Where a machine lies in the same folder, the letters there are that machine's.
    here = (p.machine.name for p in places if p.layout.repo_path == home.layout.repo_path)
    add(next(here, NAME), home)
    for place in places:
        add(place.machine.name, place)
    return list(boxes.values())


def _anchors(home: Home, places: Sequence[Place]) -> AnchorDesk | None:
    """Who writes the heads of the trails down; None where nobody wants them."""
    settings = home.configuration.settings.audit
    if not settings.anchor and settings.anchor_file is None:
        return None
    from galaxy_adapters.anchors_file import FileAnchorLog
    from galaxy_core.services.anchoring import AnchorDesk

    names: dict[str, str] = {}
    for place in places:
        names.setdefault(str(place.layout.repo_path), place.machine.name)
    names.setdefault(str(home.layout.repo_path), NAME)
    trails = {names[str(home.layout.repo_path)]: home.audit_trail()}
    trails |= {names[str(each.layout.repo_path)]: each.audit_trail() for each in places}
    file = settings.anchor_file
    log = FileAnchorLog(home.layout.repo_path / file.expanduser()) if file is not None else None
    return AnchorDesk(trails, home.outbox(), home.clock(), log, settings.anchor)


async def _transcriber(home: Home, stack: AsyncExitStack) -> Transcriber | None:
    settings = home.configuration.settings.transcription
    if settings.url is None:
        return None
    from galaxy_adapters.transcribe_openai import OpenAITranscriber, TranscriptionService

    transcriber = OpenAITranscriber(
        TranscriptionService(
            url=settings.url,
            api_key=settings.api_key.reveal() if settings.api_key else None,
            model=settings.model,
            language=settings.language,
        )
    )
    stack.push_async_callback(transcriber.aclose)
    return transcriber
