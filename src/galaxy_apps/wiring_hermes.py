"""The composition root of Hermes, which runs one machine's orders."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from attrs import evolve

from galaxy_apps.wiring import is_demo
from galaxy_core.domain.errors import DispatcherUnavailable

if TYPE_CHECKING:
    from galaxy_apps.vigil import Vigil
    from galaxy_apps.wiring import Place
    from galaxy_core.ports.dispatcher import Dispatcher
    from galaxy_core.services.hermes import Hermes, HermesConfig


@runtime_checkable
class EndsItsServer(Protocol):
    """A dispatcher that may have started a server of its own."""

    def end_server_with_us(self) -> None:
        """Do not leave it behind."""


def hermes_config(place: Place) -> HermesConfig:
    """What the settings mean for Hermes."""
    from galaxy_core.domain.policy import OrderLimits
    from galaxy_core.domain.run import RunLimits
    from galaxy_core.services.hermes import HermesConfig, ProjectConfig

    settings, machine = place.settings.hermes, place.machine
    limits = place.settings.limits
    folder = machine.repo_path
    config = HermesConfig(machine=machine.name, directory=folder, names=machine.names)
    return evolve(
        config,
        workers=settings.workers,
        retry=evolve(config.retry, max_attempts=settings.max_attempts),
        order_limits=OrderLimits(payload_characters=limits.payload_characters),
        run_limits=RunLimits(
            total=settings.executor_timeout,
            silence=limits.silence,
            steps=limits.steps,
            unknown_finishes=limits.unknown_finishes,
        ),
        recovery=settings.recovery,
        request_timeout=settings.request_timeout,
        rescan_every=settings.poll_interval,
        drain_budget=settings.drain_timeout,
        tells_who_asked=settings.prompt_context,
        is_demo=is_demo(place.settings),
        projects={
            name: ProjectConfig(
                directory=folder / project.repo_path.expanduser() if project.repo_path else None,
                preamble=project.preamble,
                agent=project.agent,
                model=project.model,
            )
            for name, project in place.settings.projects.items()
        },
    )


@asynccontextmanager
async def build_hermes(
    place: Place, *, is_service: bool = True, vigil: Vigil | None = None
) -> AsyncIterator[Hermes]:
    """A Hermes that is ready to `run`, for as long as the context lasts.

    `is_service` says that the agent's server may outlive it; `vigil` hears how its loops get on.
    Raises `UnsupportedFilesystem`, `StorageUnavailable`, `DispatcherUnavailable`.
    """
    import os

    from galaxy_apps.version import installed_version
    from galaxy_core.services.hermes import Hermes, HermesPorts

    async with AsyncExitStack() as stack:
        dispatcher = await stack.enter_async_context(place.dispatcher(is_service=is_service))
        if place.settings.opencode.url is not None:
            await _require_answer(dispatcher)
        queue = await stack.enter_async_context(place.queue())
        audit = place.audit_sink()
        ports = HermesPorts(
            queue=vigil.over_queue(queue) if vigil else queue,
            catalogue=place.catalogue(),
            responses=place.responses(),
            outbox=place.outbox(),
            journal=place.journal(),
            sessions=place.sessions(),
            control=place.control(),
            progress=place.progress(),
            audit=audit,
            presence=vigil.over_presence(place.presence()) if vigil else place.presence(),
            dispatcher=dispatcher,
            clock=place.clock(),
            files=place.order_files() if place.settings.hermes.file_outbox else None,
        )
        config = evolve(hermes_config(place), warms_up=is_service)
        hermes = Hermes(ports, config, installed_version(), os.getpid())
        place.incidents.hand_on_to(hermes)
        if is_service:
            from galaxy_apps.tidying import hermes_keeping_house
            from galaxy_apps.watching import watching_hermes

            async with (
                watching_hermes(place, dispatcher, audit),
                hermes_keeping_house(place, audit),
            ):
                yield hermes
        else:
            yield hermes
        # A run that was given back goes on while Hermes restarts; an idle server is not left.
        if not hermes.has_left_runs and isinstance(dispatcher, EndsItsServer):
            dispatcher.end_server_with_us()


async def _require_answer(dispatcher: Dispatcher) -> None:
    """A server of somebody else's must be there at the start: a wrong address is seen then."""
    health = await dispatcher.check()
    if not health.is_ready:
        raise DispatcherUnavailable(health.problem or "The agent does not answer.")
