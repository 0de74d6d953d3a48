"""opencode's JSON for the pieces of a turn, read into the domain's values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from galaxy_core.domain.ids import RequestId
from galaxy_core.domain.response import Usage
from galaxy_core.domain.run import (
    Option,
    PermissionRequested,
    ProviderRetrying,
    Question,
    QuestionAsked,
    Todo,
    ToolChanged,
    ToolStatus,
)

Json: TypeAlias = dict[str, Any]
"""A JSON object as opencode writes it."""
Request: TypeAlias = PermissionRequested | QuestionAsked

_DETAIL = 4096
"""Characters of a tool's output that are passed on: its newest end."""
_TITLE = 300
_TELLING_INPUTS = ("command", "filePath", "path", "pattern", "url", "query", "description", "name")
"""Arguments of tools by which people recognise a call, the most telling first."""
_STATUS = {
    "running": ToolStatus.RUNNING,
    "completed": ToolStatus.COMPLETED,
    "error": ToolStatus.FAILED,
}
_WRITING_TOOLS = frozenset({"write", "edit", "multiedit"})
_MOST = 1e15
"""Nobody uses so many tokens, or pays so much."""


def tool(part: Json, *, is_child: bool) -> ToolChanged | None:
    """Read a tool part; None while the model still writes the call."""
    state = part.get("state") or {}
    status = _STATUS.get(str(state.get("status")))
    if status is None:
        return None
    name = str(part.get("tool") or "tool")
    if name == "invalid":
        # A call of a tool that does not exist or was denied; opencode calls it completed.
        status = ToolStatus.FAILED
    metadata = state.get("metadata") or {}
    detail = state.get("error") or state.get("output") or metadata.get("output") or ""
    return ToolChanged(
        call_id=str(part.get("callID") or part.get("id")),
        tool=name,
        status=status,
        title=_title(state),
        detail=str(detail)[-_DETAIL:],
        is_child=is_child,
    )


def _title(state: Json) -> str:
    given = state.get("input")
    if isinstance(given, dict):
        for name in _TELLING_INPUTS:
            if isinstance(given.get(name), str) and given[name].strip():
                return _one_line(given[name])
        asked = given.get("questions")
        if isinstance(asked, list) and asked and isinstance(asked[0], dict):
            return _one_line(str(asked[0].get("question") or ""))
    return _one_line(str(state.get("title") or ""))


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_TITLE]


def written_files(part: Json) -> list[str]:
    """List the files that a finished tool call wrote, as far as the call says so."""
    state = part.get("state") or {}
    given = state.get("input")
    if part.get("tool") not in _WRITING_TOOLS or state.get("status") != "completed":
        return []
    if not isinstance(given, dict) or not isinstance(given.get("filePath"), str):
        return []
    return [given["filePath"]]


def was_refused(part: Json) -> bool:
    """Whether a person's no ended this tool call (and with it, usually, the turn)."""
    state = part.get("state") or {}
    error = str(state.get("error") or "")
    return "rejected permission" in error or "dismissed this question" in error


def refused_what(part: Json) -> str:
    """Name the call that was refused, for people."""
    title = _title(part.get("state") or {})
    return f"{part.get('tool')} ({title})" if title else str(part.get("tool"))


def permission(item: Json) -> PermissionRequested:
    """Read a permission request."""
    metadata = item.get("metadata") or {}
    patterns = tuple(str(each) for each in item.get("patterns") or [])
    telling = (metadata.get(name) for name in ("command", "filepath", "filePath", "url"))
    title = next((each for each in telling if isinstance(each, str) and each), None)
    return PermissionRequested(
        request_id=RequestId(str(item.get("id"))),
        permission=str(item.get("permission") or ""),
        patterns=patterns,
        title=_one_line(title or ", ".join(patterns)),
        always=tuple(str(each) for each in item.get("always") or []),
    )


def question(item: Json) -> QuestionAsked:
    """Read a question request."""
    return QuestionAsked(
        request_id=RequestId(str(item.get("id"))),
        questions=tuple(
            Question(
                text=str(each.get("question") or ""),
                header=str(each.get("header") or ""),
                options=tuple(
                    Option(
                        label=str(option.get("label") or ""),
                        description=str(option.get("description") or ""),
                    )
                    for option in each.get("options") or []
                ),
                is_multiple=bool(each.get("multiple")),
                allows_free_text=each.get("custom") is not False,
            )
            for each in item.get("questions") or []
        ),
    )


def todo(item: Json) -> Todo:
    """Read one item of the agent's list."""
    return Todo(
        content=str(item.get("content") or ""),
        status=str(item.get("status") or "pending"),
        priority=str(item.get("priority") or "medium"),
    )


def usage(part: Json) -> Usage:
    """Read what one step of the model cost."""
    tokens = _members(part.get("tokens"))
    cache = _members(tokens.get("cache"))
    return Usage(
        input_tokens=int(_number(tokens.get("input"))),
        output_tokens=int(_number(tokens.get("output"))),
        reasoning_tokens=int(_number(tokens.get("reasoning"))),
        cache_read_tokens=int(_number(cache.get("read"))),
        cache_write_tokens=int(_number(cache.get("write"))),
        cost_usd=_number(part.get("cost")),
    )


def _members(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _number(value: object) -> float:
    """A count as opencode tells it; 0 for what cannot be one."""
    if not isinstance(value, int | float) or not 0 <= value < _MOST:
        return 0.0
    return float(value)


def age(message: Json, now: datetime) -> timedelta:
    """How long ago a message was made, by its server's clock."""
    made = made_at(message.get("info"))
    return now - made if made is not None else timedelta(0)


def is_complete(info: object) -> bool:
    """Whether a message has come to its end."""
    return bool(_members(_members(info).get("time")).get("completed"))


def made_at(info: object) -> datetime | None:
    """When a message or a session was made, by its server's clock; None when it does not say."""
    created = _members(_members(info).get("time")).get("created")
    if not isinstance(created, int | float):
        return None
    try:
        return datetime.fromtimestamp(created / 1000, UTC)
    except (ValueError, OverflowError, OSError):  # no moment that there is
        return None


def retrying(status: Json) -> ProviderRetrying:
    """Read that the provider failed and is tried again."""
    next_at = status.get("next")
    return ProviderRetrying(
        attempt=int(status.get("attempt") or 0),
        message=str(status.get("message") or ""),
        next_at=datetime.fromtimestamp(next_at / 1000, UTC)
        if isinstance(next_at, int | float)
        else None,
    )
