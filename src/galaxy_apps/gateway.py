"""The entry point of `galaxy-gateway`: hears people and brings them answers until told to stop.

TERM or Ctrl-C: what is being sent may end within seconds, then it is over.  A second one skips the
waiting.  Whatever kills it: what came in is stored or comes again, what was to be said lies in the
outbox.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from attrs import define, field

from galaxy_apps.daemons import (
    AlreadyRunning,
    add_log_level,
    add_strict,
    begin_logging,
    complain,
    daemon_parser,
    expected_error,
    listen_for_signals,
    say,
    start_is_over,
)
from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.home import WEB, Home
from galaxy_apps.notify import service_manager
from galaxy_apps.settings import SettingsError, environment, load
from galaxy_apps.wiring_gateway import CHANNELS, GatewayPlan
from galaxy_core.domain.errors import (
    GalaxyError,
    StorageUnavailable,
    UnsupportedFilesystem,
)

if TYPE_CHECKING:
    import anyio

    from galaxy_apps.vigil import Vigil
    from galaxy_apps.wiring_web import Server, WebPlan
    from galaxy_core.services.gateway.caduceus import Caduceus

PROGRAM = "galaxy-gateway"
STOP_WITHIN = timedelta(seconds=8)
"""Longest time from the first signal to the end: nothing is lost when it is cut short."""
LOCK_PATIENCE = timedelta(milliseconds=500)
"""A dashboard that looks whether a gateway is there holds the lock for a moment."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the gateway; its exit code.  Expected failures are one sentence on standard error."""
    options = _parser().parse_args(arguments)
    try:
        configuration = load(options.config, is_strict=options.strict)
        plan = GatewayPlan(Home(configuration), options.channels or ())
        page = page_of(plan)
    except SettingsError as error:
        return complain(PROGRAM, str(error), ExitCode.SETTINGS)
    import anyio

    begin_logging(configuration, options.log_level)
    try:
        with only_one(plan.home):
            return anyio.run(_serve, plan, page)
    except AlreadyRunning as error:
        return complain(PROGRAM, str(error), ExitCode.ALREADY_RUNNING)
    except SettingsError as error:
        return complain(PROGRAM, str(error), ExitCode.SETTINGS)
    except (UnsupportedFilesystem, StorageUnavailable) as error:
        return complain(PROGRAM, str(error), ExitCode.NO_STORAGE)
    except GalaxyError as error:
        return complain(PROGRAM, str(error), ExitCode.FAILURE)


def _parser() -> argparse.ArgumentParser:
    parser = daemon_parser(
        PROGRAM, "Hear people in chats, hand their orders in, bring answers back, until TERM."
    )
    parser.add_argument(
        "--channel",
        metavar="NAME",
        dest="channels",
        action="append",
        choices=CHANNELS,
        help="Serve this channel only (telegram, web); may be given again. Default: all set up.",
    )
    add_strict(parser)
    add_log_level(parser)
    return parser


@contextmanager
def only_one(home: Home) -> Iterator[None]:
    """Hold the folder's lock: two gateways would both answer, and take messages from each other.

    Raises `AlreadyRunning`, `StorageUnavailable`.
    """
    import os

    from galaxy_adapters._files import exclusive_lock, make_durable_folder, storage_errors

    path = home.layout.gateway_lock
    make_durable_folder(path.parent)
    with ExitStack() as stack:
        with storage_errors("lock", path):
            try:
                stack.enter_context(exclusive_lock(path, timeout=LOCK_PATIENCE))
            except TimeoutError:
                holder = path.read_text("ascii", "replace").strip() or "unknown"
                raise AlreadyRunning(
                    f"another gateway (process {holder}) serves {home.layout.repo_path} already; "
                    "stop that one first"
                ) from None
            path.write_text(f"{os.getpid()}\n", "ascii")
        yield


def page_of(plan: GatewayPlan) -> WebPlan | None:
    """Where the chat's page is served; None where it is not.  Raises `SettingsError`."""
    from galaxy_apps.wiring_web import WebPlan

    if WEB not in plan.channels:
        return None
    return WebPlan(plan.home, plan.home.configuration.settings.web.port)


async def _serve(plan: GatewayPlan, page: WebPlan | None) -> int:
    import anyio
    import structlog

    from galaxy_apps.vigil import Vigil
    from galaxy_apps.wiring_gateway import build_gateway

    log = structlog.get_logger(__name__)
    failure: GalaxyError | None = None
    try:
        async with anyio.create_task_group() as tasks:
            vigil = Vigil(service_manager(environment()))
            stopping = _Stopping(tasks.cancel_scope, vigil)
            await tasks.start(listen_for_signals, "gateway", stopping.ask, name="signals")
            async with AsyncExitStack() as stack:
                server = None if page is None else await _open_page(page, stack)
                on_chat = None if server is None else server.set_chat
                caduceus = await stack.enter_async_context(build_gateway(plan, on_chat, vigil))
                if server is not None:
                    port = await tasks.start(server.serve, server.plan.port, name="page")
                    say(f"The page: {await server.address(port, '/chat')}")
                stopping.caduceus = caduceus
                log.info(
                    "gateway.started",
                    folder=str(plan.home.layout.repo_path),
                    channels=list(plan.channels),
                    machines=[machine.name for machine in plan.machines],
                )
                tasks.start_soon(vigil.keep, name="vigil")
                vigil.ready(f"hears people on {' and '.join(plan.channels)}")
                start_is_over()
                await caduceus.run()
            tasks.cancel_scope.cancel()
        log.info("gateway.stopped")
    except BaseExceptionGroup as group:
        failure = expected_error(group)
    if failure is not None:
        raise failure
    return ExitCode.OK


async def _open_page(plan: WebPlan, stack: AsyncExitStack) -> Server:
    from galaxy_apps.wiring_web import make_server

    notes = await stack.enter_async_context(plan.home.notes())
    return make_server(plan, notes, plan.token(), views=None, has_chat=True)


@define
class _Stopping:
    """The first signal asks for the end, the second one does not wait for it."""

    _scope: anyio.CancelScope
    _vigil: Vigil
    caduceus: Caduceus | None = None
    """None until it is built: there is nothing to end then."""
    _is_asked: bool = field(default=False, init=False)

    def ask(self) -> None:
        """Be told by a signal."""
        import os

        import anyio

        if self.caduceus is None:
            self._scope.cancel()
            return
        if self._is_asked:
            # Sendings that were begun are shielded; to be killed is what all of it is made for.
            os._exit(ExitCode.INTERRUPTED)
        self._is_asked = True
        self._vigil.stopping(STOP_WITHIN)
        self._scope.deadline = anyio.current_time() + STOP_WITHIN.total_seconds()
        self.caduceus.stop()


if __name__ == "__main__":
    sys.exit(main())
