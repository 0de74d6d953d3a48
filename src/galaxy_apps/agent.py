"""The agent's server as a service of its own: what the unit `opencode-serve` runs.

It starts `opencode serve` as Hermes would, in the place where Hermes looks for one, so that each
Hermes finds it and none has to be told an address or a password.  It replaces a server that died
or hangs, and ends it in good order when it is told to stop.  When this is killed, the service
manager ends the server with it, and starts both again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from galaxy_apps.daemons import (
    add_log_level,
    begin_logging,
    complain,
    daemon_parser,
    expected_error,
    listen_for_signals,
)
from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.notify import service_manager
from galaxy_apps.settings import DispatcherKind, SettingsError, environment, load
from galaxy_core.domain.errors import DispatcherUnavailable, GalaxyError, StorageUnavailable

if TYPE_CHECKING:
    from galaxy_adapters.dispatch_opencode_server import OwnServer
    from galaxy_apps.vigil import Vigil

PROGRAM = "opencode-serve"
LOOK_EVERY = timedelta(seconds=2)
START_BUDGET = timedelta(seconds=150)
"""A minute of waiting for another one who starts it, a minute for the start, and some."""
LOOK_BUDGET = timedelta(seconds=90)
"""Most of a minute until a busy server counts as hung, and its end."""
STOP_BUDGET = timedelta(seconds=20)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server; the exit code.  Expected failures are one sentence on standard error."""
    options = _parser().parse_args(arguments)
    try:
        configuration = load(options.config)
        machine = configuration.machine(options.machine)
    except SettingsError as error:
        return complain(PROGRAM, str(error), ExitCode.SETTINGS)
    settings = configuration.settings
    is_ours = settings.hermes.dispatcher is DispatcherKind.OPENCODE_SERVER
    if not is_ours or settings.opencode.url is not None:
        sentence = "the settings have no use for a server: see `dispatcher` and `opencode.url`"
        return complain(PROGRAM, sentence, ExitCode.SETTINGS)
    import anyio

    from galaxy_adapters.dispatch_opencode_server import OwnServer, OwnServerSettings

    begin_logging(configuration, options.log_level)
    server = OwnServer(
        OwnServerSettings(
            machine=machine.repo_path,
            environment=environment(),
            binary=settings.opencode.bin,
            outlives_us=False,
            has_unit=True,
        )
    )
    try:
        return anyio.run(_serve, server)
    except DispatcherUnavailable as error:
        return complain(PROGRAM, str(error), ExitCode.NO_AGENT)
    except StorageUnavailable as error:
        return complain(PROGRAM, str(error), ExitCode.NO_STORAGE)
    except GalaxyError as error:
        return complain(PROGRAM, str(error), ExitCode.FAILURE)


def _parser() -> argparse.ArgumentParser:
    parser = daemon_parser(PROGRAM, "Run opencode's server until TERM.")
    parser.add_argument("--machine", metavar="NAME", help="Which machine of the settings this is.")
    add_log_level(parser)
    return parser


async def _serve(server: OwnServer) -> int:
    import anyio

    from galaxy_apps.vigil import Vigil

    vigil = Vigil(service_manager(environment()))
    failure: GalaxyError | None = None
    try:
        async with anyio.create_task_group() as tasks:

            def stop() -> None:
                vigil.stopping(STOP_BUDGET)
                tasks.cancel_scope.cancel()

            await tasks.start(listen_for_signals, "agent", stop, name="signals")
            tasks.start_soon(vigil.keep, name="vigil")
            await _watch(server, vigil)
    except BaseExceptionGroup as group:
        failure = expected_error(group)
    finally:
        await server.aclose()
    if failure is not None:
        raise failure
    return ExitCode.OK


async def _watch(server: OwnServer, vigil: Vigil) -> None:
    """Start it, and again when it is gone; the first start must succeed."""
    is_first = True
    while True:
        try:
            with vigil.during("start", START_BUDGET):
                await server.connect()
        except DispatcherUnavailable:
            if is_first:
                raise
            vigil.say("opencode is gone and cannot be started; trying again")
            continue
        status = f"opencode runs as process {server.pid}"
        if is_first:
            vigil.ready(status)
        vigil.say(status)
        is_first = False
        await _look_after(server, vigil)


async def _look_after(server: OwnServer, vigil: Vigil) -> None:
    """Until it is gone; one that does not answer is ended."""
    import anyio

    while True:
        with vigil.during("look", LOOK_BUDGET):
            try:
                await server.client().version()
            except DispatcherUnavailable:
                await server.suspect()
                if not server.is_running:
                    return
        await anyio.sleep(LOOK_EVERY.total_seconds())


if __name__ == "__main__":
    sys.exit(main())
