"""One message of the fake opencode's agent: its parts, written down and told as they change."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from galaxy_core.testing.opencode.ids import identifier, now_ms
from galaxy_core.testing.opencode.store import Document
from galaxy_core.testing.opencode.tools import ToolResult, describe_invalid
from galaxy_core.testing.script import ToolCall

if TYPE_CHECKING:
    from galaxy_core.testing.opencode.engine import Engine


class AssistantMessage:
    """Stored from its first moment; `time.completed` is what a broken one lacks."""

    def __init__(self, engine: Engine, session: Document, user: Document) -> None:
        self._engine = engine
        self._directory: str = session["directory"]
        self._open: Document | None = None
        model = user["model"]
        self.id = identifier("msg")
        info: Document = {
            "id": self.id,
            "sessionID": session["id"],
            "parentID": user["id"],
            "role": "assistant",
            "mode": user["agent"],
            "agent": user["agent"],
            "path": {"cwd": self._directory, "root": "/"},
            "cost": 0,
            "tokens": {
                "input": 0,
                "output": 0,
                "reasoning": 0,
                "cache": {"read": 0, "write": 0},
            },
            "modelID": model.get("modelID") or model.get("id"),
            "providerID": model["providerID"],
            "time": {"created": now_ms()},
        }
        self._info = info
        self._parts: list[Document] = []
        self._tell_message()

    @property
    def text(self) -> str:
        """What the message says."""
        return "\n".join(part["text"] for part in self._parts if part["type"] == "text")

    # ---- steps and text

    def begin_step(self) -> None:
        """The provider has begun to answer."""
        self._add({"type": "step-start"})

    async def stream(self, kind: str, pieces: Sequence[str], pace_seconds: float) -> None:
        """Add words to a text or reasoning part; on the bus at once, on disk at its end."""
        if self._open is None or self._open["type"] != kind:
            self.close_part()
            self._open = self._add({"type": kind, "text": "", "time": {"start": now_ms()}})
            self._open["pieces"] = []
        elif kind == "text":
            self._delta("\n")
        for piece in pieces:
            self._delta(piece)
            # Lets readers have it; with no pace this costs next to nothing.
            await asyncio.sleep(pace_seconds)

    def _delta(self, piece: str) -> None:
        part = self._open
        if part is None:
            return
        part["pieces"].append(piece)
        properties: Document = {
            "sessionID": self._info["sessionID"],
            "messageID": self.id,
            "partID": part["id"],
            "field": "text",
            "delta": piece,
        }
        self._engine.bus.publish(self._directory, "message.part.delta", properties)

    def close_part(self) -> None:
        """The text is whole: only now is it stored."""
        part, self._open = self._open, None
        if part is not None:
            part["text"] = "".join(part.pop("pieces"))
            part["time"]["end"] = now_ms()
            self._tell_part(part)

    def finish(self, reason: str, tokens: Document) -> str:
        """End the step and the message; gives the reason back."""
        self.close_part()
        self._add({"type": "step-finish", "reason": reason, "tokens": tokens, "cost": 0})
        self._info |= {"finish": reason, "tokens": tokens}
        self._complete()
        return reason

    def fail(self, error: Document) -> None:
        """End the message with an error; a part in the middle is lost."""
        if self._open is not None:
            self._open.pop("pieces", None)
            self._open = None
        self._info["error"] = error
        self._complete()

    def _complete(self) -> None:
        self._info["time"]["completed"] = now_ms()
        self._tell_message()

    # ---- tools

    def tool_pending(self, call_id: str, call: ToolCall) -> Document:
        """The model wants the call; gives the part."""
        state: Document = {"status": "pending", "input": {}, "raw": ""}
        return self._add({"type": "tool", "tool": call.name, "callID": call_id, "state": state})

    def tool_running(self, part: Document, call: ToolCall, metadata: Document) -> None:
        """The call has begun, after any permission."""
        state: Document = {
            "status": "running",
            "input": call.arguments,
            "metadata": metadata,
            "time": {"start": now_ms()},
        }
        part["state"] = state
        self._tell_part(part)

    def tool_completed(self, part: Document, call: ToolCall, result: ToolResult) -> None:
        """The call is over, whatever its exit code."""
        state: Document = {
            "status": "completed",
            "input": call.arguments,
            "output": result.output,
            "metadata": result.metadata,
            "title": result.title,
            "time": self._time(part),
        }
        part["state"] = state
        self._tell_part(part)

    def tool_failed(self, part: Document, call: ToolCall, error: str) -> None:
        """The call was refused, or ended with an error."""
        state: Document = {
            "status": "error",
            "input": call.arguments,
            "error": error,
            "time": self._time(part),
        }
        part["state"] = state
        self._tell_part(part)

    def tool_invalid(self, call_id: str, call: ToolCall) -> None:
        """No such tool, or arguments that are no JSON: reported as a tool that completed."""
        error = f"Model tried to call unavailable tool '{call.name}'."
        state: Document = {
            "status": "completed",
            "input": describe_invalid(call.name, error),
            "output": f"The arguments provided to the tool are invalid: {error}",
            "metadata": {},
            "title": "Invalid Tool",
            "time": {"start": now_ms(), "end": now_ms()},
        }
        self._add({"type": "tool", "tool": "invalid", "callID": call_id, "state": state})

    def _time(self, part: Document) -> Document:
        started = part["state"].get("time", {}).get("start", now_ms())
        return {"start": started, "end": now_ms()}

    # ---- writing down and telling

    def _add(self, part: Document) -> Document:
        own = {"id": identifier("prt"), "messageID": self.id, "sessionID": self._info["sessionID"]}
        part = own | part
        self._parts.append(part)
        self._tell_part(part)
        return part

    def _tell_part(self, part: Document) -> None:
        self._store()
        shown = {name: value for name, value in part.items() if name != "pieces"}
        properties = {"sessionID": self._info["sessionID"], "part": shown, "time": now_ms()}
        self._engine.bus.publish(self._directory, "message.part.updated", properties)

    def _tell_message(self) -> None:
        self._store()
        properties = {"sessionID": self._info["sessionID"], "info": self._info}
        self._engine.bus.publish(self._directory, "message.updated", properties)

    def _store(self) -> None:
        parts = [{k: v for k, v in part.items() if k != "pieces"} for part in self._parts]
        self._engine.store.put_message({"info": self._info, "parts": parts})
