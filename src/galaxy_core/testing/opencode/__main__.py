"""The fake opencode's commands."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from galaxy_core.testing.opencode.arguments import UsageError, parse_run
from galaxy_core.testing.opencode.engine import VERSION
from galaxy_core.testing.opencode.project import Project
from galaxy_core.testing.opencode.run import Exit, fail, run, say, say_error
from galaxy_core.testing.opencode.server import serve
from galaxy_core.testing.opencode.store import Document, Store

_PIPE_BYTES = 65_536
"""`opencode export` into a pipe ends here, whatever the length of the session (1.18.33)."""


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Carry one command out; gives the exit code."""
    store = Store(state_file(environment))
    try:
        return _command(list(arguments), store, environment)
    except Exit as error:
        say_error(str(error))
    except UsageError:
        say("opencode run [message..]\n\nrun opencode with a message")
    finally:
        store.close()
    return 1


def state_file(environment: Mapping[str, str]) -> Path:
    """Where the state of this environment lies."""
    home = Path(environment.get("HOME", "."))
    data = Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share")
    return data / "opencode" / "fake.db"


def _command(arguments: list[str], store: Store, environment: Mapping[str, str]) -> int:
    project = Project(Path(environment.get("PWD") or "."), environment)
    match arguments:
        case ["run", *rest]:
            return asyncio.run(run(parse_run(rest), store, environment))
        case ["serve", *rest]:
            return asyncio.run(serve(rest, store, environment))
        case ["--version" | "-v"]:
            _print(VERSION)
        case ["agent", "list"]:
            _print("\n".join(_agent_lines(project)))
        case ["models", *_]:
            _print("\n".join(project.models))
        case ["debug", "config"]:
            _print(json.dumps(project.config, indent=2))
        case ["export", session_id, *_]:
            _export(store, session_id)
        case ["import", file]:
            _import(store, Path(file))
        case ["session", "list", *_]:
            _print(json.dumps(store.sessions(str(project.directory)), indent=2))
        case _:
            raise UsageError(" ".join(arguments))
    return 0


def _agent_lines(project: Project) -> list[str]:
    """Names and modes, native ones first; neither the default nor the hidden ones are marked."""
    agents = sorted(project.agents, key=lambda one: (not one.get("native"), one["name"]))
    lines: list[str] = []
    for agent in agents:
        lines += [f"{agent['name']} ({agent['mode']})", "  [", '  {"permission": "*"}', "]"]
    return lines


def _export(store: Store, session_id: str) -> None:
    say(f"Exporting session: {session_id}")
    session = store.session(session_id)
    if session is None:
        fail(f"Session not found: {session_id}")
    content = json.dumps({"info": session, "messages": store.messages(session_id)}, indent=2)
    raw = content.encode()
    if stat.S_ISFIFO(os.fstat(sys.stdout.fileno()).st_mode):
        raw = raw[:_PIPE_BYTES]
    sys.stdout.buffer.write(raw)
    sys.stdout.flush()


def _import(store: Store, file: Path) -> None:
    try:
        content: Document = json.loads(file.read_text(encoding="utf-8"))
    except OSError:
        fail(f"File not found: {file}")
    store.put_session(content["info"])
    for message in content["messages"]:
        store.put_message(message)
    _print(f"Imported session: {content['info']['id']}")


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))  # noqa: TID251 - a program of its own
