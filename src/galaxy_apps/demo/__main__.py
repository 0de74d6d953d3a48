"""`make run` and `make demo`: a sample project, and `galaxy up` on it.

    python -m galaxy_apps.demo [--once] [--folder DIR] [--timeout SECONDS] [--scripted] [--port N]

With `--once` one order goes through the whole: it is handed in at the HTTP API, runs in the real
opencode, and its answer is asked for there.  Exit codes: those of `galaxy up`; with `--once` 0 the
answer came, 1 it did not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from galaxy_adapters._opencode import find_opencode
from galaxy_apps.cli.main import code_of
from galaxy_apps.cli.up import Telling, run_demo, run_sample
from galaxy_apps.daemons import complain
from galaxy_apps.demo.once import perform, say
from galaxy_apps.demo.stage import make_project, own_environment
from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.up.provider import Provider, find_provider
from galaxy_core.domain.errors import GalaxyError

PROGRAM = "galaxy-demo"


def announce(*, provider: Provider | None, opencode: Path, folder: Path) -> None:
    """Say with what it is going to work."""
    say(f"opencode    {opencode}")
    if provider is None:
        say("Model       DEMO: the bundled scripted model. It repeats what it is told; no AI model")
        say("            is asked. Set one up with `opencode auth login`, then start this again.")
    else:
        say(f"Model       yours ({provider.source})")
    say(f"Project     {folder / 'project'}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; its exit code."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--once", action="store_true", help="one order; end when it is answered")
    parser.add_argument("--folder", type=Path, default=Path(".demo"), help="where to work")
    parser.add_argument("--timeout", type=float, default=180.0, help="with --once: seconds to wait")
    parser.add_argument("--scripted", action="store_true", help="ask no real model in any case")
    parser.add_argument("--port", type=int, default=5000, help="TCP port (5000)")
    parser.add_argument("--no-browser", action="store_true", help="open no browser")
    options = parser.parse_args(arguments)
    try:
        return run(options)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except GalaxyError as error:
        return complain(PROGRAM, str(error), code_of(error))


def run(options: argparse.Namespace) -> ExitCode:
    """Look what there is to work with, and run it."""
    folder: Path = options.folder.resolve()
    environment = own_environment()
    opencode = find_opencode(environment.get("GALAXY_OPENCODE_BIN"), environment)
    folder.mkdir(parents=True, exist_ok=True)
    # The sample project's own opencode.json may be an earlier demo's: it is not looked at.
    provider = None if options.scripted else find_provider(environment, folder, opencode)
    announce(provider=provider, opencode=opencode, folder=folder)
    if options.once:
        return perform(folder, is_demo=provider is None, patience_s=options.timeout)
    telling = Telling(is_silent=options.no_browser)
    if provider is None:
        return run_demo(folder, port=options.port, telling=telling)
    return run_sample(make_project(folder, is_demo=False), port=options.port, telling=telling)


if __name__ == "__main__":
    sys.exit(main())
