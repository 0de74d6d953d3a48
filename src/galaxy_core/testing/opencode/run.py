"""`opencode run`: one prompt, JSON lines, and an exit code that says less than one would like."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from galaxy_core.testing.opencode.arguments import RunArguments
from galaxy_core.testing.opencode.bus import BusEvent, Listener
from galaxy_core.testing.opencode.engine import Engine
from galaxy_core.testing.opencode.ids import now_ms
from galaxy_core.testing.opencode.store import Document, Store

_RED, _BOLD, _PLAIN = "\x1b[91m", "\x1b[1m", "\x1b[0m"


class Exit(Exception):
    """The command ends with this sentence on standard error and exit code 1."""


def fail(message: str) -> NoReturn:
    """End the command as the original does: with a coloured line."""
    raise Exit(message)


def say(line: str) -> None:
    """One line on standard error."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def say_error(message: str) -> None:
    """An error as the original prints it."""
    say(f"{_RED}{_BOLD}Error: {_PLAIN}{message}")


async def run(arguments: RunArguments, store: Store, environment: Mapping[str, str]) -> int:
    """Carry one prompt out; gives the exit code."""
    # Not a terminal means: read to the end, also from a pipe that nobody ever closes.
    piped = "" if sys.stdin.isatty() else sys.stdin.buffer.read().decode("utf-8", "replace")
    prompt = "\n".join(filter(None, [arguments.message, piped]))
    if not prompt.strip():
        fail("You must provide a message or a command")
    directory = arguments.directory or environment.get("PWD") or "."
    problem: Exit | None = None
    has_error = False
    async with asyncio.TaskGroup() as tasks:
        engine = Engine(store, environment, tasks)
        try:
            has_error = await _carry_out(engine, arguments, str(Path(directory)), prompt)
        except Exit as error:  # raised below: a task group would wrap it
            problem = error
    if problem is not None:
        raise problem
    return 1 if has_error else 0


async def _carry_out(engine: Engine, arguments: RunArguments, directory: str, prompt: str) -> bool:
    session = _session(engine, arguments, directory)
    body = _body(engine, session, arguments, prompt)
    printer = _Printer(engine, session["id"])
    with engine.bus.listener() as listener:
        if engine.admit(session, body) is not None:
            await printer.follow(listener)
    return printer.has_error


def _session(engine: Engine, arguments: RunArguments, directory: str) -> Document:
    if arguments.session is None:
        denied = [
            {"permission": name, "pattern": "*", "action": "deny"}
            for name in ("question", "plan_enter", "plan_exit")
        ]
        return engine.new_session(directory, title=arguments.title, permission=denied)
    session = engine.store.session(arguments.session)
    if session is None:
        fail("Session not found")
    return session


def _body(engine: Engine, session: Document, arguments: RunArguments, prompt: str) -> Document:
    project = engine.project(session["directory"])
    parts: list[Document] = []
    for file in arguments.files:
        path = Path(session["directory"], file)
        if not path.exists():
            fail(f"File not found: {file}")
        parts.append({"type": "file", "mime": "text/plain", "url": path.as_uri(), "filename": file})
    parts.append({"type": "text", "text": _expanded(project.commands, arguments.command, prompt)})
    body: Document = {"parts": parts}
    if arguments.model:
        provider, _, model = arguments.model.partition("/")
        body["model"] = {"providerID": provider, "modelID": model}
    if arguments.agent:
        agent = project.agent(arguments.agent)
        if agent is None:
            _fall_back(f'agent "{arguments.agent}" not found.')
        elif agent["mode"] == "subagent":
            _fall_back(f'agent "{arguments.agent}" is a subagent, not a primary agent.')
        else:
            body["agent"] = arguments.agent
    return body


def _fall_back(problem: str) -> None:
    say(f"{_BOLD}!{_PLAIN} {problem} Falling back to default agent")


def _expanded(commands: Mapping[str, Document], command: str | None, prompt: str) -> str:
    if command is None:
        return prompt
    if command not in commands:
        fail(f"Command not found: {command}")
    return str(commands[command]["template"]).replace("$ARGUMENTS", prompt)


class _Printer:
    """Turns events of one session into the lines of `--format json`."""

    def __init__(self, engine: Engine, session_id: str) -> None:
        self._engine = engine
        self._session_id = session_id
        self.has_error = False

    async def follow(self, listener: Listener) -> None:
        """Print until the session is idle."""
        async for event in listener:
            if event.type == "permission.asked":
                self._reject(event)
            elif event.properties.get("sessionID") != self._session_id:
                continue
            elif event.type == "session.idle":
                return
            else:
                self._tell(event)

    def _tell(self, event: BusEvent) -> None:
        if event.type == "session.error" and not self.has_error:
            self.has_error = True
            self._print("error", error=event.properties["error"])
        elif event.type == "message.part.updated":
            part = event.properties["part"]
            if (kind := _line_type(part)) is not None:
                self._print(kind, part=part)

    def _reject(self, event: BusEvent) -> None:
        asked = event.properties
        what = f"{asked['permission']} ({', '.join(asked['patterns'])})"
        say(f"{_BOLD}!{_PLAIN} permission requested: {what}; auto-rejecting")
        self._engine.asks.reply_permission(event.directory, asked["id"], {"reply": "reject"})

    def _print(self, kind: str, **more: object) -> None:
        line = {"type": kind, "timestamp": now_ms(), "sessionID": self._session_id, **more}
        with suppress(BrokenPipeError):
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()


def _line_type(part: Document) -> str | None:
    """The line that a part is printed in; None while it is not finished."""
    match part["type"]:
        case "step-start":
            return "step_start"
        case "step-finish":
            return "step_finish"
        case "text" if part.get("time", {}).get("end"):
            return "text"
        case "tool" if part["state"]["status"] in {"completed", "error"}:
            return "tool_use"
        case _:
            return None
