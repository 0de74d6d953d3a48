"""`galaxy init`: a settings file, the folders, and git told to leave them alone."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from galaxy_apps.cli.arguments import DISPATCHERS
from galaxy_apps.cli.errors import UsageError
from galaxy_apps.cli.output import is_terminal, print_json, warn, write
from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.settings import FILE, load
from galaxy_core.wire.layout import Layout

IGNORED = (".galaxy/", ".sisyphus/", "logs/")


def init(
    *,
    folder: Path | None,
    name: str | None,
    dispatcher: str | None,
    model: str | None,
    yes: bool,
    is_json: bool,
) -> ExitCode:
    """Set a project's folder up.  Never overwrites: what is there stays."""
    is_asking = not yes and not is_json and is_terminal(sys.stdin) and is_terminal(sys.stderr)
    if is_asking:
        folder = folder or Path(_ask("Project folder", str(Path.cwd())))
    project = (folder or Path.cwd()).expanduser().resolve()
    if not project.is_dir():
        raise UsageError(f"there is no folder {project}")
    path = project / FILE
    if path.exists():
        warn(f"galaxy: {path} is there already; it stays as it is (`galaxy config check`).")
        return ExitCode.FAILURE
    if is_asking:
        name = name or _ask("Name of this machine", _host_name())
        dispatcher = dispatcher or _ask_one_of("Dispatcher", DISPATCHERS)
    settings = _settings(name or _host_name(), dispatcher or DISPATCHERS[0], model)
    # Read back before anything is left behind: what init writes must be good.
    content = json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
    _create(path, content)
    machine = load(path).machine()
    layout = Layout(machine.repo_path)
    for each in (layout.orders, layout.outbox, layout.logs):
        each.mkdir(parents=True, exist_ok=True)
    excluded = _exclude_from_git(project)
    if is_json:
        print_json(
            {
                "path": str(path),
                "machine": machine.name,
                "repo_path": str(machine.repo_path),
                "git_exclude": str(excluded) if excluded else None,
            }
        )
        return ExitCode.OK
    write(f"Settings  {path}")
    write(f"Orders    {layout.orders}")
    if excluded:
        write(f"Git       {excluded} ignores {', '.join(IGNORED)}")
    write("Next: `galaxy-hermes` in this folder, and in another terminal")
    write('      `galaxy order submit "What is in this folder?" --wait`')
    return ExitCode.OK


def _settings(name: str, dispatcher: str, model: str | None) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "machines": {name: {"host": "localhost", "repo_path": "."}},
        "default_machine": name,
        "dispatcher": dispatcher,
    }
    if model is not None:
        settings["opencode"] = {"model": model}
    return settings


def _host_name() -> str:
    return socket.gethostname().split(".")[0] or "here"


def _create(path: Path, content: str) -> None:
    """Write the file whole or not at all, readable by its owner only, and over nothing."""
    path.parent.mkdir(exist_ok=True, mode=0o700)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        path.hardlink_to(scratch)
    finally:
        scratch.unlink()


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


def _ask_one_of(question: str, words: tuple[str, ...]) -> str:
    while True:
        answer = _ask(f"{question} ({', '.join(words)})", words[0])
        if answer in words:
            return answer
        warn(f"One of {', '.join(words)}, please.")
