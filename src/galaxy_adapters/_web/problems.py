"""Refusals: problem details (RFC 9457) for programs, a page with a sentence for people."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from galaxy_core.domain.errors import (
    DispatcherUnavailable,
    InvalidOrder,
    MachineNotFound,
    OrderNotFound,
    OrderNotRetryable,
    PermanentError,
    SessionNotFound,
    TransientError,
)
from galaxy_core.domain.order import EMPTY, JSONObject

__all__ = ["MEDIA_TYPE", "Problem", "problem_of", "problem_response", "wants_page"]

MEDIA_TYPE = "application/problem+json"

_STATUS: Mapping[type[Exception], HTTPStatus] = {
    OrderNotFound: HTTPStatus.NOT_FOUND,
    MachineNotFound: HTTPStatus.NOT_FOUND,
    SessionNotFound: HTTPStatus.NOT_FOUND,
    OrderNotRetryable: HTTPStatus.CONFLICT,
    InvalidOrder: HTTPStatus.UNPROCESSABLE_ENTITY,
    PermanentError: HTTPStatus.UNPROCESSABLE_ENTITY,
    DispatcherUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    TransientError: HTTPStatus.SERVICE_UNAVAILABLE,
}


class Problem(Exception):
    """A request that is not carried out; raise it anywhere below the site."""

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        title: str | None = None,
        members: JSONObject = EMPTY,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.title = title or HTTPStatus(status).phrase
        self.detail = detail
        """One sentence for a person: what to do."""
        self.members = members
        """Further members of the problem document."""
        self.headers = dict(headers or {})
        super().__init__(f"{self.title}: {detail}")


def problem_of(error: Exception) -> Problem:
    """What an error of the core is to who asked; its message is a sentence for people."""
    for kind in type(error).__mro__:
        if (status := _STATUS.get(kind)) is not None:
            headers = {}
            if isinstance(error, TransientError):
                pause = error.retry_after.total_seconds() if error.retry_after else 5
                headers["retry-after"] = str(max(1, round(pause)))
            return Problem(status, str(error), headers=headers)
    return Problem(500, "This is a defect of the program; its log says more.")


def problem_response(problem: Problem) -> Response:
    """The document for programs; its `type` is left at the default, the status says it all."""
    content = {"title": problem.title, "status": problem.status, "detail": problem.detail}
    return JSONResponse(
        {**content, **problem.members},
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=problem.headers,
    )


def wants_page(request: Request) -> bool:
    """Whether a person asks: a browser that goes to a page, not a program or a script."""
    path = str(request.scope["path"])
    if path.startswith(("/api/", "/chat/api/")) or path == "/metrics":
        return False
    return "text/html" in request.headers.get("accept", "")
