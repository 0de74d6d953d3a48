"""The entry point of `galaxy-hermes`: runs the orders of one machine until it is told to stop.

TERM or Ctrl-C: nothing more is claimed, running orders get `drain_timeout` to finish, what is left
is given back.  A second one skips the waiting.  Whatever kills it, orders and answers are safe.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from galaxy_apps.daemons import (
    add_log_level,
    add_strict,
    begin_logging,
    complain,
    daemon_parser,
    expected_error,
    listen_for_signals,
    start_is_over,
)
from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.notify import service_manager
from galaxy_apps.settings import Configuration, SettingsError, environment, load
from galaxy_core.domain.errors import (
    DispatcherUnavailable,
    GalaxyError,
    StorageUnavailable,
    UnsupportedFilesystem,
)

if TYPE_CHECKING:
    from galaxy_apps.wiring import Place

PROGRAM = "galaxy-hermes"
MAX_WORKERS = 64
STOP_MARGIN = timedelta(seconds=30)
"""What the end may take beyond `drain_timeout`: ten seconds to write, seven to end the agent."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run Hermes; its exit code.  Expected failures are one sentence on standard error."""
    options = _parser().parse_args(arguments)
    try:
        configuration = load(options.config, is_strict=options.strict)
        place = _place(configuration, options)
    except SettingsError as error:
        return complain(PROGRAM, str(error), ExitCode.SETTINGS)
    import anyio
    import structlog

    begin_logging(configuration, options.log_level)
    if options.server is not None:
        structlog.get_logger(__name__).warning(
            "option.ignored", option="--server", use_instead="opencode.url in the settings"
        )
    try:
        return anyio.run(_serve, place, options.once)
    except DispatcherUnavailable as error:
        return complain(PROGRAM, str(error), ExitCode.NO_AGENT)
    except (UnsupportedFilesystem, StorageUnavailable) as error:
        return complain(PROGRAM, str(error), ExitCode.NO_STORAGE)
    except GalaxyError as error:
        return complain(PROGRAM, str(error), ExitCode.FAILURE)


def _parser() -> argparse.ArgumentParser:
    parser = daemon_parser(PROGRAM, "Run the orders of this machine until TERM.")
    parser.add_argument("--machine", metavar="NAME", help="Which machine of the settings this is.")
    parser.add_argument(
        "--workers", metavar="N", type=_workers, help="Conversations side by side (settings: 4)."
    )
    parser.add_argument(
        "--once",
        "--drain",
        action="store_true",
        help="Work off what waits and exit; orders that wait for a time are left waiting.",
    )
    parser.add_argument(
        "--interval",
        metavar="SECONDS",
        type=_interval,
        help="Longest time between two looks at the folder (settings: 30).",
    )
    add_strict(parser)
    add_log_level(parser)
    parser.add_argument("--server", metavar="URL", help="Accepted for old units, and ignored.")
    return parser


def _workers(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= MAX_WORKERS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MAX_WORKERS}")
    return int(text)


def _interval(text: str) -> timedelta:
    try:
        interval = timedelta(seconds=float(text))
    except (ValueError, OverflowError):
        interval = timedelta(0)
    if interval <= timedelta(0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return interval


def _place(configuration: Configuration, options: argparse.Namespace) -> Place:
    from attrs import evolve

    from galaxy_apps.wiring import Place

    hermes = configuration.settings.hermes
    hermes = evolve(
        hermes,
        workers=options.workers or hermes.workers,
        poll_interval=options.interval or hermes.poll_interval,
    )
    settings = evolve(configuration.settings, hermes=hermes)
    return Place(settings, configuration.machine(options.machine))


async def _serve(place: Place, is_once: bool) -> int:  # noqa: FBT001  anyio.run hands on positions
    import anyio
    import structlog

    from galaxy_apps.vigil import Vigil
    from galaxy_apps.wiring import require_agent
    from galaxy_apps.wiring_hermes import build_hermes

    vigil = Vigil(service_manager(environment()))
    log = structlog.get_logger(__name__)
    require_agent(place.settings, place.environ)
    failure: GalaxyError | None = None
    try:
        async with build_hermes(place, is_service=not is_once, vigil=vigil) as hermes:

            def stop() -> None:
                vigil.stopping(place.settings.hermes.drain_timeout + STOP_MARGIN)
                hermes.stop()

            log.info(
                "hermes.started",
                machine=place.machine.name,
                repo_path=str(place.machine.repo_path),
                dispatcher=place.settings.hermes.dispatcher.value,
                workers=place.settings.hermes.workers,
            )
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listen_for_signals, "hermes", stop, name="signals")
                tasks.start_soon(vigil.keep, name="vigil")
                start_is_over()
                await hermes.run(until_idle=is_once)
                tasks.cancel_scope.cancel()
            log.info("hermes.stopped", machine=place.machine.name)
    except BaseExceptionGroup as group:
        failure = expected_error(group)
    if failure is not None:
        raise failure
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
