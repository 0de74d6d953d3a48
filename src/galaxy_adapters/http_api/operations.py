"""An operation of the API: its handler, and all that the OpenAPI document says of it.

The routes are made from the same operations as the document, so neither can be without the other.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus

from attrs import field, frozen
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from galaxy_adapters._web.problems import Problem, problem_of, problem_response
from galaxy_adapters.http_api.parameters import Parameter, check_query
from galaxy_adapters.http_api.schema import to_document
from galaxy_core.domain.errors import GalaxyError

__all__ = ["Answer", "Operation", "answer", "as_routes"]

Handler = Callable[[Request], Awaitable[Response]]


@frozen(kw_only=True)
class Answer:
    """One possible answer."""

    description: str
    document: type | None = None
    media_type: str = "application/json"
    has_body: bool = True
    headers: Mapping[str, str] = field(factory=dict)
    """Names, and what they say."""


@frozen(kw_only=True)
class Operation:
    """One thing that the API does."""

    id: str
    method: str
    path: str
    handler: Handler
    summary: str
    description: str = ""
    parameters: tuple[Parameter[object], ...] = ()
    takes_order: bool = False
    answers: Mapping[int, Answer]
    """Successes; problems are named in `problems`."""
    problems: tuple[int, ...] = ()
    """Further statuses with problem details, beside those that every operation may have."""
    is_open: bool = False
    """Whether it is answered without a token on loopback."""


def answer(
    document: object,
    status: int = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Make the answer that holds a document."""
    content = to_document(document)
    try:
        body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # half a character that somebody wrote: kept, as an escape
        body = json.dumps(content, separators=(",", ":")).encode()
    all_headers = {"Cache-Control": "no-store", **(headers or {})}
    return Response(body, status, all_headers, media_type="application/json")


def as_routes(operations: Sequence[Operation]) -> list[Route]:
    """One route a path, in the order in which paths come."""
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    return [Route(path, _Resource(methods), name=path) for path, methods in by_path.items()]


class _Resource:
    """All operations of one path, as an ASGI application."""

    def __init__(self, operations: Mapping[str, Operation]) -> None:
        self._operations = dict(operations)
        if "GET" in self._operations:
            self._operations["HEAD"] = self._operations["GET"]
        self._allowed = ", ".join(sorted({*self._operations, "OPTIONS"}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except Problem as problem:
            response = problem_response(problem)
        except GalaxyError as error:
            response = problem_response(problem_of(error))
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=HTTPStatus.NO_CONTENT, headers={"Allow": self._allowed})
        operation = self._operations.get(request.method)
        if operation is None:
            raise Problem(
                HTTPStatus.METHOD_NOT_ALLOWED,
                f"{request.url.path[:200]} does not know this method; it knows {self._allowed}.",
                headers={"Allow": self._allowed},
            )
        check_query(request, {p.name: p for p in operation.parameters if p.place == "query"})
        return await operation.handler(request)
