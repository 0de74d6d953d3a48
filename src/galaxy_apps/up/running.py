"""Everything at once: one Hermes for each machine here, the gateway, the page.

Begun in this order: locks, stores, Hermes, gateway, page; then the address is told.  Hermes ends
first and the gateway after it.  Whatever kills the process: orders and answers are safe, and the
next start goes on with them.  While the main loops of all parts get on, the watching process hears
beats (`keeping.py`).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from functools import partial

import structlog
from anyio import TASK_STATUS_IGNORED, Event, create_task_group, move_on_after
from anyio.abc import TaskGroup, TaskStatus
from attrs import define, field, frozen

from galaxy_apps.daemons import expected_error, listen_for_signals, start_is_over
from galaxy_apps.demo.stage import Stage
from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.home import WEB, Home
from galaxy_apps.late import IncidentRelay
from galaxy_apps.settings import Machine, environment
from galaxy_apps.up.keeping import Before, Lifeline
from galaxy_apps.up.parts import Part, Runner
from galaxy_apps.vigil import Vigil
from galaxy_apps.wiring import Place
from galaxy_apps.wiring_gateway import GatewayPlan, build_gateway
from galaxy_apps.wiring_hermes import build_hermes
from galaxy_apps.wiring_web import Server, Views, WebPlan, make_server, open_views
from galaxy_core.domain.errors import GalaxyError
from galaxy_core.domain.incident import Incident

log = structlog.get_logger(__name__)

GATEWAY_STOPS_WITHIN = timedelta(seconds=8)
"""As a gateway that runs alone: nothing is lost when it is cut short."""
MODEL_LOOK = timedelta(seconds=1)
PATIENCE_SIGNALS = 2
"""So many signals ask; the next one kills."""


@frozen(kw_only=True)
class UpPlan:
    """What is run; made before anything is opened."""

    home: Home
    web: WebPlan
    gateway: GatewayPlan | None
    """None: nobody is heard, as `web.enabled` and a missing token say."""
    machines: Sequence[Machine]
    token: str = field(repr=False)
    environ: Mapping[str, str] = field(factory=environment, repr=False)
    """What agents are started with."""
    stage: Stage | None = None
    """The demo's: its model is kept running."""


async def run_up(
    plan: UpPlan, announce: Callable[[str], Awaitable[None]], lifeline: Lifeline, before: Before
) -> ExitCode:
    """Run it all until TERM; `announce` is told the address when it can be opened.

    Raises what kept it from starting.
    """
    whole = _Whole(plan, announce, lifeline)
    if before.problem:
        whole.tell(before.problem)
    failure: GalaxyError | None = None
    try:
        async with create_task_group() as tasks:
            await tasks.start(listen_for_signals, "up", whole.ask_to_stop, name="signals")
            tasks.start_soon(whole.vigil.keep, name="vigil")
            await whole.run()
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        failure = expected_error(group)
    if failure is not None:
        raise failure
    return ExitCode.OK


@define(eq=False)
class _Whole:
    _plan: UpPlan
    _announce: Callable[[str], Awaitable[None]]
    _lifeline: Lifeline
    vigil: Vigil = field(init=False)
    _vigils: dict[str, Vigil] = field(factory=dict, init=False)
    """By part, while it is open."""
    _incidents: IncidentRelay = field(init=False)
    """Of a part that has a trail and an outbox."""
    _machines: Sequence[Part] = field(init=False)
    """They carry orders out, and end first."""
    _gateway: Part | None = field(default=None, init=False)
    _server: Server = field(init=False)
    _port: int = field(init=False)
    _stops: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        plan, clock = self._plan, self._plan.home.clock()
        self._port = plan.web.port
        self.vigil = Vigil(self._lifeline)
        self.vigil.check(self._stuck)
        self._incidents = plan.home.incidents if plan.gateway else IncidentRelay()
        self._machines = [
            Part(name, partial(self._open_hermes, name, machine), clock)
            for name, machine in ((f"hermes of {each.name}", each) for each in plan.machines)
        ]
        if plan.gateway is not None:
            self._gateway = Part("gateway", partial(self._open_gateway, plan.gateway), clock)

    def tell(self, problem: str) -> None:
        """Tell people why all of it was begun anew."""
        now = self._plan.home.clock().now().isoformat()
        incident = Incident(
            kind="up_restarted",
            message=f"Galaxy was started again: {problem}. Orders and answers go on.",
            key=f"up-restarted:{now}",
            is_for_people=True,
            data={"problem": problem},
            on_told=self._lifeline.told,
        )
        self._incidents.report(incident)

    def _stuck(self) -> str | None:
        """What a part waits for in vain."""
        late = [f"{name}: {what}" for name, each in self._vigils.items() for what in each.overdue()]
        return late[0] if late else None

    @contextmanager
    def _watched(self, name: str) -> Iterator[Vigil]:
        """A vigil over a part, heeded as long as the part is open."""
        self._vigils[name] = vigil = Vigil()
        try:
            yield vigil
        finally:
            del self._vigils[name]

    def ask_to_stop(self) -> None:
        """Be told by a signal: let running orders end; a second one hurries, a third one kills."""
        self._stops += 1
        self.vigil.stopping(GATEWAY_STOPS_WITHIN)
        for part in self._machines:
            part.stop()
        if self._stops > 1 and self._gateway is not None:
            self._gateway.stop()
        if self._stops > PATIENCE_SIGNALS:
            os._exit(ExitCode.INTERRUPTED)

    async def run(self) -> None:
        """Begin, work until told to stop, end."""
        plan = self._plan
        async with AsyncExitStack() as stack:
            notes = await stack.enter_async_context(plan.home.notes())
            views = await stack.enter_async_context(open_views(plan.home, self._is_gateway_up))
            has_chat = plan.gateway is not None and WEB in plan.gateway.channels
            self._server = make_server(plan.web, notes, plan.token, views, has_chat=has_chat)
            # Over before the stores are closed, however it ends.
            async with create_task_group() as others:
                gateway_ended = Event()
                async with create_task_group() as machines:
                    await self._begin(machines, others, views, gateway_ended)
                    # This block lasts until all machines have stopped.
                if self._gateway is not None:
                    self._gateway.stop()
                    with move_on_after(GATEWAY_STOPS_WITHIN.total_seconds()):
                        await gateway_ended.wait()
                others.cancel_scope.cancel()
        log.info("up.stopped")

    async def _begin(
        self, machines: TaskGroup, others: TaskGroup, views: Views, gateway_ended: Event
    ) -> None:
        plan, clock = self._plan, self._plan.home.clock()
        if plan.stage is not None:
            model = Part("demo model", partial(_open_model, plan.stage), clock)
            await others.start(model.keep, name=model.name)
        for part in self._machines:
            await machines.start(part.keep, name=part.name)
        if self._gateway is not None:
            await others.start(_keep, self._gateway, gateway_ended, name="gateway")
        figures = Part("figures", partial(_open_figures, views), clock)
        await others.start(figures.keep, name=figures.name)
        page = Part("page", self._open_page, clock)
        await others.start(page.keep, name=page.name)
        if not self._stops:
            await self._announce(await self._server.address(self._port))
            self._lifeline.working(self._port)
            start_is_over()
            log.info("up.started", folder=str(plan.home.layout.repo_path), port=self._port)

    async def _is_gateway_up(self) -> bool | None:
        return None if self._gateway is None else self._gateway.is_up

    @asynccontextmanager
    async def _open_gateway(self, plan: GatewayPlan) -> AsyncIterator[Runner]:
        with self._watched("gateway") as vigil:
            async with build_gateway(plan, self._server.set_chat, vigil) as caduceus:
                yield caduceus

    @asynccontextmanager
    async def _open_hermes(self, name: str, machine: Machine) -> AsyncIterator[Runner]:
        plan = self._plan
        place = Place(plan.home.configuration.settings, machine, environ=plan.environ)
        if plan.gateway is None and machine is plan.machines[0]:
            place.incidents = self._incidents
        with self._watched(name) as vigil:
            async with build_hermes(place, vigil=vigil) as hermes:
                yield hermes

    @asynccontextmanager
    async def _open_page(self) -> AsyncIterator[Runner]:
        async with create_task_group() as tasks:
            # Begun anew it has the port that pages know, also where a free one was taken.
            self._port = await tasks.start(self._server.serve, self._port, name="serve")
            yield _Waiting()
            tasks.cancel_scope.cancel()


async def _keep(
    part: Part, ended: Event, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED
) -> None:
    try:
        await part.keep(task_status=task_status)
    finally:
        ended.set()


# ---- parts


@define(eq=False)
class _Waiting:
    """What is left to do while tasks of the part's own work."""

    _stopping: Event = field(factory=Event, init=False)

    async def run(self) -> None:
        """Wait for `stop()`."""
        await self._stopping.wait()

    def stop(self) -> None:
        """Ask for the end."""
        self._stopping.set()


@define(eq=False)
class _Model(_Waiting):
    """The scripted model, a process of its own: over when that is."""

    _stage: Stage

    async def run(self) -> None:
        """Look after it."""
        while self._stage.has_model and not self._stopping.is_set():
            with move_on_after(MODEL_LOOK.total_seconds()):
                await self._stopping.wait()


@asynccontextmanager
async def _open_model(stage: Stage) -> AsyncIterator[Runner]:
    if not stage.has_model:
        # Not in a thread: when the thread that started it ends, the model ends (see `Stage`).
        stage.start_model()
    yield _Model(stage)


@asynccontextmanager
async def _open_figures(views: Views) -> AsyncIterator[Runner]:
    async with create_task_group() as tasks:
        tasks.start_soon(views.feeding.run, name="feeding")
        yield _Waiting()
        tasks.cancel_scope.cancel()
