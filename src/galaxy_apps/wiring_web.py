"""The composition root of the page: settings in, one application of pages, chat and API out."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus
from attrs import define, field, frozen

from galaxy_apps.home import NAME, WEB_OWNER, Home
from galaxy_apps.private_file import create_private
from galaxy_apps.settings import SettingsError
from galaxy_apps.wiring import Place, is_demo

if TYPE_CHECKING:
    from galaxy_adapters._web import Site, WebAccess
    from galaxy_adapters.channel_web import WebChannel
    from galaxy_core.ports.front_desk import FrontDesk, Insight, Records
    from galaxy_core.ports.note_store import NoteStore
    from galaxy_core.services.insight import TrailFeeding

TOKEN_FILE = "web-token"  # noqa: S105  a file's name
DASHBOARD = (("/", "Dashboard"), ("/orders", "Orders"), ("/audit", "Trail"))
CHAT = ("/chat", "Chat")
"""Addresses and names that every page leads to, where they are served."""
ASGI = Callable[[Any, Any, Any], Awaitable[None]]
"""An application, as servers call it."""


def require_web() -> None:
    """Raise `SettingsError` where what pages are made of is not installed."""
    try:
        from galaxy_adapters import channel_web, dashboard, http_api  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("galaxy_"):
            raise
        raise SettingsError(
            f"web: the page needs {error.name}, which is not installed; "
            "run: pip install 'galaxy-protocol[web]'"
        ) from error


@define
class WebPlan:
    """Where the page is served, and who gets in; made before anything is opened.

    Raises `SettingsError` where it must not be served like that.
    """

    home: Home
    port: int
    wanted_host: str | None = None
    """In place of the setting."""
    host: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        web = self.home.configuration.settings.web
        self.host = self.wanted_host or web.host
        require_web()
        from galaxy_adapters._web import why_too_open

        sentence = why_too_open(self.host, has_password=web.password is not None)
        if sentence is not None:
            raise SettingsError(sentence)

    @property
    def is_behind_proxy(self) -> bool:
        """Whether people come by HTTPS, through a proxy on this machine."""
        web = self.home.configuration.settings.web
        return bool(web.names) if web.secure_cookies is None else web.secure_cookies

    @property
    def token_file(self) -> Path:
        """Where a token that was made lies."""
        return self.home.layout.settings_folder / TOKEN_FILE

    def token(self) -> str:
        """What programs send: the setting, else the one that was made, else a new one."""
        web = self.home.configuration.settings.web
        if web.token is not None:
            return web.token.reveal()
        from galaxy_adapters._files import storage_errors

        with storage_errors("keep the token of the page in", self.token_file):
            if not self.token_file.exists():
                # Another process may be quicker: then its token counts.
                with suppress(FileExistsError):
                    create_private(self.token_file, secrets.token_urlsafe(32) + "\n")
            found = self.token_file.read_text(encoding="ascii", errors="replace").strip()
        if not found:
            raise SettingsError(f"web.token: {self.token_file} is empty; remove it")
        return found

    def access(self, token: str) -> WebAccess:
        """Who gets in."""
        from galaxy_adapters._web import WebAccess

        web = self.home.configuration.settings.web
        users: Mapping[str, str] = {}
        if web.password is not None:
            hashed = web.password.reveal()
            users = dict.fromkeys(self.home.web_users() or (WEB_OWNER,), hashed)
        # Two servers of one folder share their sessions, those of two folders must not.
        folder = sha256(str(self.home.layout.repo_path).encode("utf-8", "surrogateescape"))
        return WebAccess(
            host=self.host,
            hosts=frozenset(web.names),
            is_https=self.is_behind_proxy,
            token=token,
            users=users,
            cookie=f"galaxy-{folder.hexdigest()[:8]}",
            session_life=timedelta(days=web.session_days),
            advice="Open the address with a key that `galaxy up` printed when it started.",
        )


# ---- what the page shows


@frozen(kw_only=True)
class Views:
    """What dashboard and API work with."""

    front_desk: FrontDesk
    insight: Insight
    records: Records
    feeding: TrailFeeding
    """Keeps the figures up to date while it runs."""


@asynccontextmanager
async def open_views(
    home: Home, is_gateway_up: Callable[[], Awaitable[bool | None]]
) -> AsyncIterator[Views]:
    """Dashboard and API over the stores of all machines here; needs no gateway and no Hermes."""
    from galaxy_adapters.alerts_json import JsonAlertBook
    from galaxy_adapters.folder_filesystem import FilesystemMachineFolder
    from galaxy_adapters.index_sqlite import SqliteTrailIndex
    from galaxy_apps.watching import GATEWAY, watcher_of
    from galaxy_apps.wiring_gateway import Sinks, machine_ports
    from galaxy_core.domain.policy import OrderLimits
    from galaxy_core.services.front_desk import LocalFrontDesk
    from galaxy_core.services.insight import (
        InsightPorts,
        LocalInsight,
        LocalRecords,
        TrailFeeding,
        TrailSource,
    )

    configuration = home.configuration
    places = [
        Place(configuration.settings, machine, home.incidents)
        for machine in configuration.machines()
    ]
    # Machines that share a folder share their trail, and the gateway may keep its own there.
    trails: dict[str, TrailSource] = {}
    everywhere: list[tuple[str, Place | Home]] = [(p.machine.name, p) for p in places]
    for name, place in [*everywhere, (NAME, home)]:
        path = str(place.layout.audit_log)
        trails.setdefault(path, TrailSource(name=path, machine=name, trail=place.audit_trail()))
    async with AsyncExitStack() as stack:
        sinks = Sinks(home)
        machines = {p.machine.name: await machine_ports(p, sinks, stack) for p in places}
        index = SqliteTrailIndex(home.layout.trail_index)
        stack.push_async_callback(index.aclose)
        ports = InsightPorts(
            machines=machines,
            outboxes={place.machine.name: place.outbox() for place in places},
            folders={p.machine.name: FilesystemMachineFolder(p.layout) for p in places},
            trails=tuple(trails.values()),
            index=index,
            clock=home.clock(),
            alerts=[
                JsonAlertBook(home.layout.alerts(GATEWAY)),
                *(JsonAlertBook(p.layout.alerts(watcher_of(p.machine.name))) for p in places),
            ],
            is_gateway_up=is_gateway_up,
        )
        feeding = TrailFeeding(ports)
        limits = configuration.settings.limits
        yield Views(
            front_desk=LocalFrontDesk(
                machines=machines,
                index=index,
                clock=ports.clock,
                limits=OrderLimits(payload_characters=limits.payload_characters),
                catch_up=feeding.catch_up,
            ),
            insight=LocalInsight(ports, feeding.catch_up),
            records=LocalRecords(ports, feeding.catch_up),
            feeding=feeding,
        )


async def open_web_channel(home: Home, stack: AsyncExitStack) -> WebChannel:
    """The page's chat as a channel, open as long as the stack is."""
    require_web()
    from galaxy_adapters.channel_web import WebChannel, WebChannelConfig

    people = {WEB_OWNER, *home.web_users()}
    config = WebChannelConfig(
        is_person=people.__contains__, is_demo=is_demo(home.configuration.settings)
    )
    channel = WebChannel(home.layout.web_channel, home.clock(), home.incidents, config)
    return await stack.enter_async_context(channel)


# ---- the site


def build_site(site: Site, views: Views | None, chat: WebChannel | None) -> ASGI:
    """One application of what there is: dashboard and API, chat, or both."""
    from galaxy_adapters import channel_web, dashboard, http_api
    from galaxy_apps.version import installed_version

    routes = []
    if views is not None:
        seen = (views.front_desk, views.insight, views.records)
        version = installed_version()
        routes += dashboard.routes(*seen, pages=site.pages, version=version)
        routes += http_api.routes(*seen, version=version)
    if chat is not None:
        routes += channel_web.routes(chat, site.pages, is_alone=views is None)
    return site.application(routes)


@define(eq=False)
class Server:
    """The page while it is served: its chat comes and goes with the gateway."""

    plan: WebPlan
    site: Site
    views: Views | None
    _application: ASGI = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._application = build_site(self.site, self.views, None)

    def set_chat(self, chat: WebChannel | None) -> None:
        """From the next request on this chat is served, or none."""
        self._application = build_site(self.site, self.views, chat)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401  ASGI's
        """Port ASGI."""
        await self._application(scope, receive, send)

    async def serve(self, port: int, *, task_status: TaskStatus[int] = TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; has begun when requests are answered, and tells the port.

        Raises `CannotListen`.
        """
        from galaxy_adapters._web import serve

        await serve(
            self,
            self.plan.host,
            port,
            is_behind_proxy=self.plan.is_behind_proxy,
            task_status=task_status,
        )

    async def address(self, port: int, path: str = "/", *, is_first: bool = True) -> str:
        """What a person opens, once; with `is_first` those that were told before end."""
        from galaxy_adapters._web import address_of

        sessions = self.site.sessions
        key = await (sessions.first_key() if is_first else sessions.new_key())
        return address_of(self.plan.host, port, key=key, path=path)


def make_server(
    plan: WebPlan, notes: NoteStore, token: str, views: Views | None, *, has_chat: bool
) -> Server:
    """The page.  Its chat comes later, if `has_chat`."""
    from galaxy_adapters import channel_web, dashboard
    from galaxy_adapters._web import Site

    folders = [] if views is None else [dashboard.FOLDER]
    sections = [] if views is None else list(DASHBOARD)
    if has_chat:
        folders.append(channel_web.FOLDER)
        sections.append(CHAT)
    site = Site(
        plan.access(token),
        notes,
        plan.home.clock(),
        folders,
        is_demo=is_demo(plan.home.configuration.settings),
        sections=sections,
    )
    return Server(plan, site, views)
