"""The entry point of `galaxy-dashboard`: the page and the HTTP API, without gateway and Hermes.

It reads and writes the same files as the command line, so it works while they are down; it keeps
nothing of its own but figures that can be counted again.  It may be killed at any time.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from galaxy_apps.cli.main import code_of
from galaxy_apps.cli.parsing import address_options
from galaxy_apps.daemons import (
    add_log_level,
    complain,
    daemon_parser,
    expected_error,
    listen_for_signals,
    say,
)
from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.home import Home
from galaxy_apps.notify import service_manager
from galaxy_apps.settings import environment, load
from galaxy_core.domain.errors import GalaxyError

if TYPE_CHECKING:
    from galaxy_apps.wiring_web import WebPlan

PROGRAM = "galaxy-dashboard"
STOP_WITHIN = timedelta(seconds=15)
"""What the end may take: requests that are being answered."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the dashboard; its exit code.  Expected failures are one sentence."""
    options = _parser().parse_args(arguments)
    try:
        from galaxy_apps.wiring_web import WebPlan

        configuration = load(options.config)
        plan = WebPlan(Home(configuration), options.port, options.host)
        configuration.machines()
        token = plan.token()
    except GalaxyError as error:
        return complain(PROGRAM, str(error), code_of(error))
    import anyio

    from galaxy_apps.logging import configure_logging

    configure_logging(level=options.log_level, secrets=(*configuration.settings.secrets(), token))
    try:
        return anyio.run(_serve, plan, token)
    except GalaxyError as error:
        return complain(PROGRAM, str(error), code_of(error))


def _parser() -> argparse.ArgumentParser:
    parser = daemon_parser(PROGRAM, "Serve the dashboard and the HTTP API until TERM.")
    address_options(parser)
    add_log_level(parser)
    return parser


async def _serve(plan: WebPlan, token: str) -> int:
    import anyio

    from galaxy_apps.vigil import Vigil
    from galaxy_apps.wiring_web import make_server, open_views

    failure: GalaxyError | None = None
    try:
        async with (
            plan.home.notes() as notes,
            open_views(plan.home, gateway_look(plan.home)) as views,
            # Over before the stores are closed.
            anyio.create_task_group() as tasks,
        ):
            vigil = Vigil(service_manager(environment()))

            def stop() -> None:
                vigil.stopping(STOP_WITHIN)
                tasks.cancel_scope.cancel()

            await tasks.start(listen_for_signals, "dashboard", stop, name="signals")
            server = make_server(plan, notes, token, views, has_chat=False)
            tasks.start_soon(views.feeding.run, name="figures")
            port = await tasks.start(server.serve, plan.port, name="page")
            # A gateway or `galaxy up` beside it may have told an address that is still good.
            say(f"The dashboard: {await server.address(port, is_first=False)}")
            tasks.start_soon(vigil.keep, name="vigil")
            vigil.ready(f"serves the page on port {port}")
            await anyio.sleep_forever()
    except BaseExceptionGroup as group:
        failure = expected_error(group)
    if failure is not None:
        raise failure
    return ExitCode.OK


def gateway_look(home: Home) -> Callable[[], Awaitable[bool | None]]:
    """Look whether a gateway serves the folder; None where the settings speak of none."""
    from anyio import to_thread

    settings = home.configuration.settings
    is_expected = settings.telegram.token is not None or settings.web.enabled is True

    async def look() -> bool | None:
        is_there = await to_thread.run_sync(_holds_lock, home.layout.gateway_lock)
        return is_there or (False if is_expected else None)

    return look


def _holds_lock(path: Path) -> bool:
    """Whether somebody holds the lock, tried for a moment; see `LOCK_PATIENCE` of the gateway."""
    from galaxy_adapters._files import exclusive_lock

    try:
        if not path.exists():
            return False
        with exclusive_lock(path, timeout=timedelta(0)):
            return False
    except TimeoutError:
        return True
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
