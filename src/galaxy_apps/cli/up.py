"""`galaxy up`: look whether everything that is needed is there, then run it all.

What is missing is said before anything is opened, with what to do about it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from galaxy_apps.cli.init import Wanted, can_ask, confirm, set_up
from galaxy_apps.cli.output import flush, is_terminal, print_json, warn, write
from galaxy_apps.cli.place import run
from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.settings import FILE, Configuration, SettingsError, environment, load

if TYPE_CHECKING:
    from galaxy_apps.demo.stage import Stage
    from galaxy_apps.home import Home
    from galaxy_apps.up.running import UpPlan

HOW_TO_SET_UP = (
    "opencode has no model to ask: no provider is set up. Set one up with `opencode auth login` "
    "(or a variable like ANTHROPIC_API_KEY, or opencode.json)"
)


def up(
    *,
    config: Path | None,
    port: int,
    host: str | None,
    is_silent: bool,
    is_demo: bool,
    log_level: str | None,
    is_json: bool,
) -> ExitCode:
    """Run gateway, page and every machine of this host until TERM."""
    telling = Telling(is_silent=is_silent, is_json=is_json, log_level=log_level)
    found = None if is_demo else _real(config, host, port)
    if found is None:
        return run_demo(_demo_folder(config), host=host, port=port, telling=telling)
    return _run(found, telling)


@frozen(kw_only=True)
class Telling:
    """How it speaks."""

    is_silent: bool = False
    """Open no browser."""
    is_json: bool = False
    log_level: str | None = None


def run_demo(
    folder: Path, *, port: int, host: str | None = None, telling: Telling | None = None
) -> ExitCode:
    """Run a sample project in `folder` on the bundled model."""
    from galaxy_apps.demo.stage import Stage, demo_environment, make_project
    from galaxy_apps.home import Home
    from galaxy_apps.wiring import require_agent

    environ = demo_environment(folder, environment())
    configuration = load(make_project(folder, is_demo=True), environ=environ)
    stage = Stage(folder, environ)
    plan = make_plan(Home(configuration), host, port, environ, stage)
    try:
        require_agent(configuration.settings, environ)
        return _run(plan, telling or Telling())
    finally:
        stage.stop()


def run_sample(settings: Path, *, port: int, telling: Telling | None = None) -> ExitCode:
    """Run a sample project on the person's own provider."""
    from galaxy_apps.home import Home

    plan = make_plan(Home(load(settings)), None, port, environment())
    return _run(plan, telling or Telling())


def _run(plan: UpPlan, telling: Telling) -> ExitCode:
    """Run it, and tell the address when it can be opened."""
    from attrs import evolve

    from galaxy_apps.gateway import only_one
    from galaxy_apps.logging import configure_logging
    from galaxy_apps.up.keeping import Before, Keeper, Lifeline
    from galaxy_apps.up.running import run_up
    from galaxy_apps.wiring import is_demo

    has_demo = is_demo(plan.home.configuration.settings)
    configure_logging(
        level=telling.log_level or ("WARNING" if is_terminal(sys.stderr) else "INFO"),
        secrets=(*plan.home.configuration.settings.secrets(), plan.token),
    )

    async def announce(address: str) -> None:
        if telling.is_json:
            print_json(
                {
                    "address": address,
                    "token_file": str(plan.web.token_file),
                    "folder": str(plan.home.layout.repo_path),
                    "is_demo": has_demo,
                }
            )
        else:
            what = "Galaxy is up (DEMO: a scripted model answers)" if has_demo else "Galaxy is up"
            write(f"{what}: {address}")
        flush()
        if not telling.is_silent and is_terminal(sys.stdout):
            await _open_browser(address)

    async def say_nothing(_address: str) -> None:
        """Who waits for the address has it."""

    def work(lifeline: Lifeline, before: Before) -> ExitCode:
        if before.port is None:
            return run(lambda: run_up(plan, announce, lifeline, before))
        # Begun anew it has the port that pages and programs know.
        again = evolve(plan, web=evolve(plan.web, port=before.port))
        return run(lambda: run_up(again, say_nothing, lifeline, before))

    with only_one(plan.home):
        return Keeper(work).run()


# ---- with the person's own settings


def _real(config: Path | None, host: str | None, port: int) -> UpPlan | None:
    """The plan; None where the person chose the demo instead."""
    from galaxy_apps.home import Home
    from galaxy_apps.wiring import require_agent

    configuration = _configuration(config)
    if configuration is None:
        return None
    plan = make_plan(Home(configuration), host, port, environment())
    opencode = require_agent(configuration.settings, environment())
    if opencode is None or configuration.settings.opencode.model is not None:
        # Another one's server, no model at all, or one that the person named.
        return plan
    return plan if _has_provider(plan, opencode) else None


def _configuration(config: Path | None) -> Configuration | None:
    found = load(config)
    if found.path is not None:
        return found
    if not can_ask():
        raise SettingsError(
            f"there is no {FILE} here or in a folder above; `galaxy init --yes` writes one, "
            "`galaxy up --demo` shows everything in a sample project"
        )
    warn(f"There is no {FILE} here or in a folder above.")
    if confirm("Set a project up now?"):
        made = set_up(Wanted(), is_asking=True)
        if made is not None:
            made.show()
            return load(made.path)
    elif confirm("Show the demo instead?"):
        return None
    raise SettingsError("there is nothing to run; `galaxy init` sets a project up")


def _has_provider(plan: UpPlan, opencode: Path) -> bool:
    from galaxy_apps.up.provider import find_provider
    from galaxy_core.domain.errors import DispatcherUnavailable

    for folder in dict.fromkeys(machine.repo_path for machine in plan.machines):
        provider = find_provider(plan.environ, folder, opencode)
        if provider is None:
            if can_ask():
                warn(f"{HOW_TO_SET_UP}, then start this again.")
                if confirm("Show the demo meanwhile, where a scripted model answers?"):
                    return False
            raise DispatcherUnavailable(
                f"{HOW_TO_SET_UP}, or see it all with `galaxy up --demo`, where a scripted model "
                "answers"
            )
        if not provider.is_certain:
            warn("galaxy: opencode did not say whether it has a model to ask; going on.")
    return True


def make_plan(
    home: Home,
    host: str | None,
    port: int,
    environ: Mapping[str, str],
    stage: Stage | None = None,
) -> UpPlan:
    """What is run, from the settings; opens nothing.  Raises `SettingsError`."""
    from galaxy_apps.up.running import UpPlan
    from galaxy_apps.wiring_gateway import GatewayPlan
    from galaxy_apps.wiring_web import WebPlan

    web = WebPlan(home, port, host)
    settings = home.configuration.settings
    has_chat = settings.web.enabled is not False
    has_gateway = has_chat or settings.telegram.token is not None
    return UpPlan(
        home=home,
        web=web,
        gateway=GatewayPlan(home, has_web=has_chat) if has_gateway else None,
        machines=home.configuration.machines(),
        token=web.token(),
        environ=environ,
        stage=stage,
    )


# ---- the demo


def _demo_folder(config: Path | None) -> Path:
    """Beside the settings, so that nothing of the person's own project is touched."""
    try:
        base = load(config).folder
    except SettingsError:
        base = Path.cwd()
    return base / FILE.parent / "demo"


# ---- the browser


async def _open_browser(address: str) -> None:
    """Open it where there is a screen; nothing depends on that."""
    import webbrowser

    import anyio

    has_screen = sys.platform == "darwin" or any(
        environment().get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    if has_screen:
        with anyio.move_on_after(5):
            await anyio.to_thread.run_sync(webbrowser.open, address, abandon_on_cancel=True)
