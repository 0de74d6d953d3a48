"""The entry point of `galaxy`: parse, call, and turn every expected failure into one sentence."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from galaxy_apps.cli.arguments import parse
from galaxy_apps.cli.errors import UsageError
from galaxy_apps.exit_codes import ExitCode


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code.  Without `arguments` the process is the command's own."""
    if arguments is not None:
        return _guarded(arguments)
    # A start makes objects that all stay.  Looking through them for garbage, again and again and
    # once more at the exit, takes a quarter of the time of `galaxy order list`.
    gc.disable()
    try:
        return _guarded(None)
    finally:
        gc.freeze()


def _guarded(arguments: Sequence[str] | None) -> int:
    try:
        try:
            return _run(arguments)
        finally:
            # What is still in the buffer may meet a closed pipe too: better here than at exit.
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        # Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return ExitCode.BROKEN_PIPE
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


def _run(arguments: Sequence[str] | None) -> int:
    try:
        name, options = parse(arguments)
    except UsageError as error:
        return _complain(f"{error} (`{error.prog} --help` tells more)", ExitCode.USAGE)
    module, _, function = name.partition(":")
    handler: Callable[..., ExitCode] = getattr(import_module(module), function)
    from galaxy_core.domain.errors import GalaxyError

    try:
        return handler(**options)
    except UsageError as error:
        return _complain(str(error), ExitCode.USAGE)
    except GalaxyError as error:
        return _complain(str(error), code_of(error))


def code_of(error: Exception) -> ExitCode:
    """How a program ends that failed like this."""
    from galaxy_apps.daemons import AlreadyRunning
    from galaxy_apps.settings import SettingsError
    from galaxy_core.domain import errors

    codes: dict[type[Exception], ExitCode] = {
        SettingsError: ExitCode.SETTINGS,
        errors.OrderNotFound: ExitCode.NOT_FOUND,
        errors.DispatcherUnavailable: ExitCode.NO_AGENT,
        AlreadyRunning: ExitCode.ALREADY_RUNNING,
        errors.StorageUnavailable: ExitCode.NO_STORAGE,
        errors.UnsupportedFilesystem: ExitCode.NO_STORAGE,
    }
    return next((code for kind, code in codes.items() if isinstance(error, kind)), ExitCode.FAILURE)


def _complain(sentence: str, code: ExitCode) -> ExitCode:
    if sys.stderr is not None:
        end = "" if sentence.endswith((".", "?")) or "\n" in sentence else "."
        sys.stderr.write(f"galaxy: {sentence}{end}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
