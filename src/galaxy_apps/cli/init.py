"""`galaxy init`: a settings file, the folders, and git told to leave them alone."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from attrs import field, frozen

from galaxy_apps.cli.arguments import DISPATCHERS
from galaxy_apps.cli.errors import UsageError
from galaxy_apps.cli.output import is_terminal, print_json, warn, write
from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.private_file import create_private
from galaxy_apps.settings import FILE, SettingsError, environment, load
from galaxy_core.wire.layout import Layout

BASE_URL = "GALAXY_TELEGRAM_BASE_URL"
IGNORED = (".galaxy/", ".sisyphus/", "logs/")


def init(
    *,
    folder: Path | None,
    path: Path | None,
    name: str | None,
    telegram_token: str | None,
    dispatcher: str | None,
    model: str | None,
    yes: bool,
    is_json: bool,
) -> ExitCode:
    """Set a project's folder up.  Never overwrites: what is there stays."""
    if folder is not None and path is not None and folder != path:
        raise UsageError("the project's folder is given twice")
    is_asking = not yes and not is_json and can_ask()
    made = set_up(
        Wanted(
            folder=folder or path,
            name=name,
            token=telegram_token,
            dispatcher=dispatcher,
            model=model,
        ),
        is_asking=is_asking,
    )
    if made is None:
        return ExitCode.FAILURE
    if is_json:
        print_json(
            {
                "path": str(made.path),
                "machine": made.machine,
                "repo_path": str(made.layout.repo_path),
                "git_exclude": str(made.excluded) if made.excluded else None,
                "telegram_bot": made.bot,
            }
        )
        return ExitCode.OK
    made.show()
    write("Next: `galaxy up` in this folder, and open the address that it prints;")
    write("      or `galaxy-hermes`, and in another terminal")
    write('      `galaxy order submit "What is in this folder?" --wait`')
    return ExitCode.OK


@frozen(kw_only=True)
class Wanted:
    """What was said before anything is asked."""

    folder: Path | None = None
    name: str | None = None
    token: str | None = field(default=None, repr=False)
    dispatcher: str | None = None
    model: str | None = None


@frozen(kw_only=True)
class SetUp:
    """What was made."""

    path: Path
    machine: str
    layout: Layout
    excluded: Path | None
    bot: str | None
    """Name of the Telegram bot, where that could be asked for."""
    has_token: bool

    def show(self) -> None:
        """Say what is there now."""
        write(f"Settings  {self.path}")
        write(f"Orders    {self.layout.orders}")
        if self.excluded:
            write(f"Git       {self.excluded} ignores {', '.join(IGNORED)}")
        if self.has_token:
            write(f"Telegram  write /start to {self.bot or 'your bot'}; it shows a code, and")
            write("          `galaxy pair CODE` here lets you in")


def can_ask() -> bool:
    """Whether a person is there to answer."""
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)


def set_up(wanted: Wanted, *, is_asking: bool) -> SetUp | None:
    """Make the settings and the folders; None, and a sentence, where there are some already."""
    folder = wanted.folder
    if is_asking:
        folder = folder or Path(_ask("Project folder", str(Path.cwd())))
    project = (folder or Path.cwd()).expanduser().resolve()
    if not project.is_dir():
        raise UsageError(f"there is no folder {project}")
    path = project / FILE
    if path.exists():
        warn(f"galaxy: {path} is there already; it stays as it is (`galaxy config check`).")
        return None
    name, token, bot = wanted.name, wanted.token, None
    if is_asking:
        name = name or _ask("Name of this machine", _host_name())
    if token is not None:
        bot = _checked(token)
    elif is_asking:
        token, bot = _ask_for_token()
    settings = _settings(
        name or _host_name(), wanted.dispatcher or DISPATCHERS[0], wanted.model, token
    )
    # Read back before anything is left behind: what init writes must be good.
    content = json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
    create_private(path, content)
    machine = load(path).machine()
    layout = Layout(machine.repo_path)
    for each in (layout.orders, layout.outbox, layout.logs):
        each.mkdir(parents=True, exist_ok=True)
    return SetUp(
        path=path,
        machine=machine.name,
        layout=layout,
        excluded=_exclude_from_git(project),
        bot=bot,
        has_token=token is not None,
    )


def _settings(name: str, dispatcher: str, model: str | None, token: str | None) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "machines": {name: {"host": "localhost", "repo_path": "."}},
        "default_machine": name,
        "dispatcher": dispatcher,
    }
    if model is not None:
        settings["opencode"] = {"model": model}
    if token is not None:
        settings["telegram_token"] = token
    return settings


def _host_name() -> str:
    return socket.gethostname().split(".")[0] or "here"


def _exclude_from_git(project: Path) -> Path | None:
    """Have git ignore our folders, for this clone only; None outside of a repository.

    The repository's own .gitignore is other people's file.
    """
    try:
        found = subprocess.run(
            ["git", "rev-parse", "--show-prefix", "--git-path", "info/exclude"],  # noqa: S607
            cwd=project,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    prefix, exclude = found.stdout.split("\n")[:2]
    path = project / exclude
    present = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = [f"/{prefix}{each}" for each in IGNORED]
    missing = [line for line in lines if line not in present.splitlines()]
    if missing:
        path.parent.mkdir(parents=True, exist_ok=True)
        start = "" if not present or present.endswith("\n") else "\n"
        with path.open("a", encoding="utf-8") as stream:
            stream.write(start + "\n".join(missing) + "\n")
    return path


# ---- questions


def _ask(question: str, default: str) -> str:
    sys.stderr.write(f"{question} [{default}]: ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer:
        raise KeyboardInterrupt  # the terminal was closed: as good as Ctrl-C
    return answer.strip() or default


def confirm(question: str) -> bool:
    """Ask for yes or no; nothing means yes."""
    return _ask(f"{question} (y/n)", "y").casefold() in {"y", "yes"}


def _checked(token: str) -> str | None:
    """The bot's name; None, and a warning, where Telegram cannot be asked.

    Raises `SettingsError` for a token that is none.
    """
    from galaxy_apps.cli.telegram_token import TokenRefused, TokenUnchecked, bot_name

    try:
        return bot_name(token, environment().get(BASE_URL))
    except TokenRefused as error:
        raise SettingsError(f"telegram_token: {error}") from None
    except TokenUnchecked as error:
        warn(f"galaxy: {error} The token is kept as it is.")
        return None


def _ask_for_token() -> tuple[str | None, str | None]:
    """A token that Telegram knows, and its bot's name; None where the person has none."""
    warn("A Telegram bot brings orders from the phone; @BotFather gives its token (/newbot).")
    while True:
        token = _ask("Telegram token", "none, the page in the browser will do")
        if token.startswith("none"):
            return None, None
        try:
            return token, _checked(token)
        except SettingsError as error:
            warn(str(error))
