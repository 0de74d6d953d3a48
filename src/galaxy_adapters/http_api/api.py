"""All routes of the API, and the document that describes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from galaxy_adapters._web.problems import Problem, problem_response
from galaxy_adapters.http_api.openapi import describe
from galaxy_adapters.http_api.operations import Answer, Operation, as_routes
from galaxy_adapters.http_api.orders import OrdersApi
from galaxy_adapters.http_api.records import RecordsApi
from galaxy_adapters.http_api.watching import LOOK_EVERY
from galaxy_core.ports.front_desk import FrontDesk, Insight, Records

__all__ = ["routes"]


def _utc_now() -> datetime:
    return datetime.now(UTC)


def routes(
    front_desk: FrontDesk,
    insight: Insight,
    records: Records,
    *,
    version: str,
    now: Callable[[], datetime] = _utc_now,
    look_every: timedelta = LOOK_EVERY,
) -> list[BaseRoute]:
    """Everything below `/api`, `/metrics`, `/healthz` and `/readyz`.

    `look_every`: how often running orders are looked at while somebody watches one.

    Who may ask is not decided here: the site's guard stands in front.
    """

    @cache
    def document() -> dict[str, Any]:
        return describe(operations, version=version)

    async def openapi(_: Request) -> Response:
        return JSONResponse(document(), headers={"Cache-Control": "no-cache"})

    operations: Sequence[Operation] = [
        *OrdersApi(front_desk, insight, now, look_every).operations(),
        *RecordsApi(front_desk, insight, records, now, version).operations(),
        Operation(
            id="getOpenApi",
            method="GET",
            path="/api/openapi.json",
            handler=openapi,
            summary="This document",
            answers={200: Answer(description="OpenAPI 3.1.")},
        ),
    ]
    rest = [Route(path, _Nothing(), name=path) for path in ("/api", "/api/{rest:path}")]
    return [*as_routes(operations), *rest]


class _Nothing:
    """Whatever else is asked of the API, by whatever method."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = Problem(
            HTTPStatus.NOT_FOUND,
            "The API has no such path: GET /api/openapi.json describes those that there are.",
        )
        await problem_response(problem)(scope, receive, send)
