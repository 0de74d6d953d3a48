"""What a scripted model is asked, and what the script in the prompt wants done about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from galaxy_core.testing import script
from galaxy_core.testing.script import JSON, Action

_ECHO_LENGTH = 500
_HELPER = re.compile(r"^HELPER\s*$", re.MULTILINE)


class Plan(NamedTuple):
    """What is to be done about one request."""

    kind: str
    """`script`, `echo`, `title` or `helper`."""
    actions: Sequence[Action]
    prompt: str
    step: int


def text_of(message: dict[str, Any]) -> str:
    """The text parts of one message."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = [part for part in content or [] if isinstance(part, dict)]
    return "\n".join(part.get("text", "") for part in parts if part.get("type") == "text")


def plan(body: dict[str, Any]) -> Plan:
    """Decide what to answer to a request, from the request alone."""
    messages = body.get("messages", [])
    users = [number for number, message in enumerate(messages) if message["role"] == "user"]
    if not users:
        return Plan("helper", [Action("SAY", "no user message")], "", 0)
    prompt = text_of(messages[users[-1]])
    if not body.get("tools") and not _HELPER.search(prompt):
        return _helper_plan(messages, messages[users[0]], prompt)
    step = sum(1 for message in messages[users[-1] + 1 :] if message["role"] == "assistant")
    written = script.parse(prompt)
    if not written:
        echo = Action("SAY", f"echo[{len(users)}]: {prompt[:_ECHO_LENGTH]}")
        return Plan("echo", [echo], prompt, step)
    steps = script.steps_of(written)
    if step < len(steps):
        return Plan("script", steps[step], prompt, step)
    done = Action("SAY", f"script done after {len(steps)} steps.")
    return Plan("script", [done], prompt, step)


def _helper_plan(messages: list[dict[str, Any]], first_user: dict[str, Any], prompt: str) -> Plan:
    first_words = " ".join(re.findall(r"[\w./-]+", prompt)[:6])
    system = " ".join(text_of(message) for message in messages if message["role"] == "system")
    if "title" in system.lower()[:400] or "title" in text_of(first_user).lower()[:200]:
        return Plan("title", [Action("SAY", f"T: {first_words}"[:50])], prompt, 0)
    summary = f"Summary of {len(messages)} messages. Last: {first_words}"
    return Plan("helper", [Action("SAY", summary)], prompt, 0)


def describe(body: dict[str, Any]) -> dict[str, JSON]:
    """What DUMP says about a request: roles, kinds and sizes of parts, tools, model."""
    return {
        "model": body.get("model"),
        "stream": body.get("stream"),
        "messages": [_describe_message(message) for message in body.get("messages", [])],
        "tools": tool_names(body),
        "other": [*sorted(set(body) - {"messages", "tools", "model", "stream"})],
        "reasoning_effort": body.get("reasoning_effort"),
        "max_tokens": body.get("max_tokens"),
    }


def tool_names(body: dict[str, Any]) -> list[JSON]:
    """Names of the tools that the agent offers."""
    return [tool["function"]["name"] for tool in body.get("tools") or []]


def _describe_message(message: dict[str, Any]) -> dict[str, JSON]:
    content = message.get("content")
    found: dict[str, JSON] = {"role": message["role"]}
    if isinstance(content, str):
        found |= {"len": len(content), "head": content[:160]}
    elif content:
        found["parts"] = [_describe_part(part) for part in content]
    if message.get("tool_calls"):
        found["tool_calls"] = [call["function"]["name"] for call in message["tool_calls"]]
    return found


def _describe_part(part: dict[str, Any]) -> dict[str, JSON]:
    found: dict[str, JSON] = {"type": part.get("type")}
    if "text" in part:
        found |= {"len": len(part["text"]), "head": part["text"][:160]}
    if "image_url" in part:
        url = part["image_url"].get("url", "")
        found |= {"url": url[:60], "len": len(url)}
    if "file" in part:
        found["file"] = {key: str(value)[:60] for key, value in part["file"].items()}
    return found
