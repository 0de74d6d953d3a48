"""What happens in runs and what people say to them, as JSON: objects with a `type` each.

`{"type": "text_appended", "text": "...", "part": "1"}`; the types are the names of the domain's
classes in lower case.
"""

from __future__ import annotations

from typing import Any

from galaxy_core.domain.operations import ControlCommand, ProgressItem
from galaxy_core.domain.order import JSONObject, JSONValue
from galaxy_core.domain.run import Answer, RunEvent
from galaxy_core.wire.json_text import read_object, write_line, write_object
from galaxy_core.wire.structure import from_json, to_json

__all__ = [
    "answer_from",
    "answer_members",
    "decode_command",
    "decode_item",
    "encode_command",
    "encode_item",
    "event_from",
    "event_members",
]

# A union is no type to a type checker, but it is one to cattrs.
_RUN_EVENT: Any = RunEvent
_ANSWER: Any = Answer
_COMMAND: Any = ControlCommand


def event_members(event: RunEvent) -> dict[str, JSONValue]:
    """Write an event of a run."""
    return to_json(event, RunEvent)


def event_from(members: JSONObject) -> RunEvent:
    """Read an event of a run.  Raises `UnreadableFile` for what is none, a newer kind too."""
    event: RunEvent = from_json(members, _RUN_EVENT, name="The event")
    return event


def answer_members(answer: Answer) -> dict[str, JSONValue]:
    """Write a person's answer."""
    return to_json(answer, Answer)


def answer_from(members: JSONObject) -> Answer:
    """Read a person's answer.  Raises `UnreadableFile` for what is none."""
    answer: Answer = from_json(members, _ANSWER, name="The answer")
    return answer


def encode_item(item: ProgressItem) -> bytes:
    """Write one line of a feed, its line break included."""
    return write_line(to_json(item))


def decode_item(line: bytes) -> ProgressItem:
    """Read one line of a feed.  Raises `UnreadableFile` for what is none."""
    return from_json(read_object(line, name="The line"), ProgressItem, name="The line")


def encode_command(command: ControlCommand) -> bytes:
    """Write a command to an order."""
    return write_object(to_json(command, ControlCommand))


def decode_command(data: bytes) -> ControlCommand:
    """Read a command to an order.  Raises `UnreadableFile` for what is none."""
    members = read_object(data, name="The file")
    command: ControlCommand = from_json(members, _COMMAND, name="The command")
    return command
