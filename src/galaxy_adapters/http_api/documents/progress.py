"""How a running order gets on, as the API shows it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from attrs import frozen

from galaxy_adapters.http_api.schema import Anything
from galaxy_core.domain.operations import Progress
from galaxy_core.domain.response import Usage
from galaxy_core.domain.run import PermissionRequested, Todo
from galaxy_core.domain.state import OrderState
from galaxy_core.wire.structure import to_json


@frozen(kw_only=True)
class TodoDocument:
    """One item of the agent's own list."""

    content: str
    status: str
    priority: str

    @classmethod
    def of(cls, todo: Todo) -> TodoDocument:
        """From the core's value."""
        return cls(content=todo.content, status=todo.status, priority=todo.priority)


@frozen(kw_only=True)
class RequestDocument:
    """Something that the agent asks, and waits for."""

    request_id: str
    kind: Annotated[str, "`permission` or `question`."]
    content: Annotated[Mapping[str, Anything], "Its members as the agent gave them."]


@frozen(kw_only=True)
class ProgressDocument:
    """Where a running order stands; its text comes in events of its own."""

    state: OrderState
    started_at: datetime | None
    updated_at: datetime | None
    tool: Annotated[str | None, "What it is doing now, in one line."]
    note: str | None
    steps: int
    tokens: int
    cost_usd: float
    todos: tuple[TodoDocument, ...]
    waiting_for: tuple[RequestDocument, ...]

    @classmethod
    def of(cls, state: OrderState, progress: Progress | None) -> ProgressDocument:
        """From the core's value; an order that only waits has no progress."""
        usage = progress.usage if progress else Usage()
        return cls(
            state=state,
            started_at=progress.started_at if progress else None,
            updated_at=progress.updated_at if progress else None,
            tool=progress.tool if progress else None,
            note=progress.note if progress else None,
            steps=progress.steps if progress else 0,
            tokens=usage.total_tokens,
            cost_usd=usage.cost_usd,
            todos=tuple(TodoDocument.of(todo) for todo in (progress.todos if progress else ())),
            waiting_for=tuple(
                RequestDocument(
                    request_id=request.request_id,
                    kind="permission" if isinstance(request, PermissionRequested) else "question",
                    content=to_json(request),  # type: ignore[arg-type]  # JSON is anything
                )
                for request in (progress.waiting_for if progress else ())
            ),
        )


@frozen(kw_only=True)
class TextDocument:
    """A piece of the answer as it is being written."""

    offset: Annotated[int, "Where it begins, in characters; what was known from there on is void."]
    text: str
