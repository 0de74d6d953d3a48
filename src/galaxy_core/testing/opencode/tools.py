"""The fake opencode's tools: shell, files, todo lists, questions.  They do what they say."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from galaxy_core.testing.opencode.asks import Asks, Rejected
from galaxy_core.testing.opencode.bus import Bus
from galaxy_core.testing.opencode.project import Project
from galaxy_core.testing.opencode.store import Document, Store

_OUTPUT_LIMIT = 30_000
_REJECTED = "The user rejected permission to use this specific tool call"


class ToolFailed(Exception):
    """The tool call ends with an error that the model is told of."""


class TurnStopped(ToolFailed):
    """It ends, and so does the turn: a person said no without a word."""


@dataclass
class ToolResult:
    """What a tool gives back."""

    output: str
    title: str = ""
    metadata: Document = field(default_factory=dict)


@dataclass(frozen=True)
class ToolContext:
    """Where a tool call stands."""

    store: Store
    bus: Bus
    asks: Asks
    project: Project
    environment: Mapping[str, str]
    session_id: str
    message_id: str
    call_id: str
    started: Callable[[Document], None]
    """Says that the tool runs now, with metadata that a watcher may see meanwhile."""
    delegate: Callable[[str, str, str], Awaitable[tuple[str, str]]]
    """(agent, description, prompt) -> (child session, what it said)."""

    @property
    def directory(self) -> str:
        """The project's folder."""
        return str(self.project.directory)

    async def permit(
        self, permission: str, pattern: str, metadata: Document, always: list[str]
    ) -> None:
        """Go on when the rules or a person allow it."""
        action = self.project.action(permission, pattern)
        if action == "deny":
            raise ToolFailed(f"The user has specified a rule which prevents you: {permission}")
        if action != "ask":
            return
        wanted: Document = {
            "sessionID": self.session_id,
            "permission": permission,
            "patterns": [pattern],
            "metadata": metadata,
            "always": always,
            "tool": {"messageID": self.message_id, "callID": self.call_id},
        }
        try:
            await self.asks.permit(self.directory, wanted)
        except Rejected as error:
            if error.message is None:
                raise TurnStopped(f"{_REJECTED}.") from error
            raise ToolFailed(f"{_REJECTED} with the following feedback: {error.message}") from error


Tool = Callable[[ToolContext, Document], Awaitable[ToolResult]]


async def _bash(context: ToolContext, given: Document) -> ToolResult:
    command = str(given["command"])
    first = command.split(" ", 1)[0]
    await context.permit("bash", command, {"command": command}, [f"{first} *"])
    context.started({"output": ""})
    # A process session of its own, as in the original: no signal to the agent's group reaches it.
    process = await asyncio.create_subprocess_exec(
        "/bin/bash",
        "-c",
        command,
        cwd=context.directory,
        env=dict(context.environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        raw, _ = await process.communicate()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        raise
    output = raw.decode("utf-8", "replace")[-_OUTPUT_LIMIT:]
    metadata: Document = {"output": output, "exit": process.returncode, "truncated": False}
    return ToolResult(output, str(given.get("description", command)), metadata)


async def _read(context: ToolContext, given: Document) -> ToolResult:
    path = await _inside(context, given, "read")
    context.started({})
    try:
        return ToolResult(path.read_text(encoding="utf-8"), str(given["filePath"]))
    except OSError as error:
        raise ToolFailed(f"File not found: {path}") from error


async def _write(context: ToolContext, given: Document) -> ToolResult:
    path = await _inside(context, given, "edit")
    context.started({})
    exists = path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(given["content"]), encoding="utf-8")
    context.bus.publish(context.directory, "file.edited", {"file": str(path)})
    metadata: Document = {"filepath": str(path), "exists": exists}
    return ToolResult("Wrote file successfully.", str(given["filePath"]), metadata)


async def _edit(context: ToolContext, given: Document) -> ToolResult:
    path = await _inside(context, given, "edit")
    context.started({})
    content = path.read_text(encoding="utf-8")
    if given["oldString"] not in content:
        raise ToolFailed("Could not find oldString in the file.")
    path.write_text(content.replace(given["oldString"], given["newString"], 1), encoding="utf-8")
    context.bus.publish(context.directory, "file.edited", {"file": str(path)})
    return ToolResult("Edit applied successfully.", str(given["filePath"]), {"diff": ""})


async def _inside(context: ToolContext, given: Document, permission: str) -> Path:
    """The path meant; one outside of the project needs a person, as in the original."""
    path, is_inside = _resolved(context.project.directory, str(given["filePath"]))
    if not is_inside:
        outside: Document = {"filepath": str(path), "parentDir": str(path.parent)}
        await context.permit("external_directory", f"{path.parent}/*", outside, [])
    await context.permit(permission, str(given["filePath"]), {"filepath": str(path)}, ["*"])
    return path


def _resolved(directory: Path, written: str) -> tuple[Path, bool]:
    path = Path(directory, written).resolve()
    return path, path.is_relative_to(directory.resolve())


async def _todowrite(context: ToolContext, given: Document) -> ToolResult:
    context.started({})
    todos = given["todos"]
    context.store.put_todos(context.session_id, todos)
    properties: Document = {"sessionID": context.session_id, "todos": todos}
    context.bus.publish(context.directory, "todo.updated", properties)
    return ToolResult("Updated the list.", f"{len(todos)} todos", {"todos": todos})


async def _question(context: ToolContext, given: Document) -> ToolResult:
    context.started({})
    question: Document = {
        "sessionID": context.session_id,
        "questions": given["questions"],
        "tool": {"messageID": context.message_id, "callID": context.call_id},
    }
    try:
        answers = await context.asks.ask(context.directory, question)
    except Rejected as error:
        raise TurnStopped("The user dismissed this question") from error
    return ToolResult(f"User has answered your questions: {answers}", "", {"answers": answers})


async def _task(context: ToolContext, given: Document) -> ToolResult:
    agent = context.project.agent(str(given["subagent_type"]))
    if agent is None:
        raise ToolFailed(f"Unknown agent type: {given['subagent_type']} is not a valid agent type")
    context.started({})
    description = str(given["description"])
    child, said = await context.delegate(agent["name"], description, str(given["prompt"]))
    return ToolResult(said, description, {"sessionId": child})


_TOOLS: dict[str, Tool] = {
    "bash": _bash,
    "read": _read,
    "write": _write,
    "edit": _edit,
    "todowrite": _todowrite,
    "question": _question,
    "task": _task,
}


def find_tool(name: str, project: Project) -> Tool | None:
    """The tool of that name; None for one that does not exist or is denied altogether."""
    return None if project.action(name, "*") == "deny" else _TOOLS.get(name)


def describe_invalid(name: str, error: str) -> dict[str, Any]:
    """Arguments of the `invalid` tool, in whose name a call of an unknown tool is reported."""
    return {"tool": name, "error": error}
