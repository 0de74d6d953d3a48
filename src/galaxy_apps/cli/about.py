"""`galaxy version`."""

from __future__ import annotations

from galaxy_apps.cli.output import print_json, write
from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.version import DISTRIBUTION, installed_version


def version(*, is_json: bool) -> ExitCode:
    """Print the version."""
    if is_json:
        print_json({"name": DISTRIBUTION, "version": installed_version()})
    else:
        write(f"{DISTRIBUTION} {installed_version()}")
    return ExitCode.OK
