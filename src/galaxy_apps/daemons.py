"""What the programs that run for ever have in common: options, signals, a sentence at the end."""

from __future__ import annotations

import argparse
import gc
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from galaxy_apps.exit_codes import ExitCode
from galaxy_core.domain.errors import GalaxyError, PermanentError

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from galaxy_apps.settings import Configuration

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
SWITCH_SECONDS = 0.0002
"""How long a thread that computes may keep the event loop waiting, after each system call anew.

With Python's own 5 ms, a claim (some 14 calls) took up to 50 ms while a thread looked at a folder
of 100,000 orders; with this, 5.
"""


class AlreadyRunning(PermanentError):
    """Another gateway serves the folder."""


def daemon_parser(program: str, description: str) -> argparse.ArgumentParser:
    """A parser with what they all begin with."""
    parser = argparse.ArgumentParser(
        prog=program,
        allow_abbrev=False,
        description=description,
        epilog="Exit codes: docs/reference/cli.md.",
    )
    parser.add_argument("--config", metavar="FILE", type=Path, help="The settings file.")
    return parser


def start_is_over() -> None:
    """Have the event loop wait for as little as can be, from now on.

    What the start has made stays, so the garbage collector leaves it alone: looking through it
    takes 20 to 40 ms each time.  And threads that compute hand on sooner.
    """
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SWITCH_SECONDS)


def add_strict(parser: argparse.ArgumentParser) -> None:
    """Let people stop at what is only doubtful."""
    parser.add_argument("--strict", action="store_true", help="Warnings on settings are errors.")


def add_log_level(parser: argparse.ArgumentParser) -> None:
    """Let people choose what is logged."""
    parser.add_argument("--log-level", choices=LEVELS, default="INFO", help="INFO if not given.")


def begin_logging(configuration: Configuration, level: str) -> None:
    """Log from now on, first of all what is doubtful in the settings."""
    import structlog

    from galaxy_apps.logging import configure_logging

    configure_logging(level=level, secrets=configuration.settings.secrets())
    for warning in configuration.warnings:
        structlog.get_logger(__name__).warning("settings.doubtful", problem=warning)


def complain(program: str, sentence: str, code: ExitCode) -> ExitCode:
    """Say why the program ends; nothing where standard error is closed."""
    if sys.stderr is not None:
        sys.stderr.write(f"{program}: {sentence}\n")
    return code


def say(line: str) -> None:
    """Print a line to standard output at once; nothing where that is closed."""
    if sys.stdout is not None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def expected_error(group: BaseExceptionGroup) -> GalaxyError:
    """What is said in a sentence, out of what task groups wrapped; raises the rest, a bug."""
    expected, others = group.split(GalaxyError)
    if others is not None or expected is None:
        raise group
    error: BaseException = expected
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if not isinstance(error, GalaxyError):
        raise TypeError("the group was split by its type") from error
    return error


async def listen_for_signals(
    noun: str, stop: Callable[[], None], task_status: TaskStatus[None] | None = None
) -> None:
    """Call `stop` for each TERM and INT, until cancelled; it has begun when it listens."""
    import anyio
    import structlog

    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        if task_status is not None:
            task_status.started()
        async for number in signals:
            structlog.get_logger(__name__).info(
                f"{noun}.stop_requested", signal=signal.Signals(number).name
            )
            stop()
