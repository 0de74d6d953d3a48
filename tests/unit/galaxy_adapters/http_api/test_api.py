"""Routes against the OpenAPI document, and what every path refuses alike."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from starlette.routing import Route

from galaxy_adapters.http_api import routes
from galaxy_adapters.http_api.operations import _Resource
from galaxy_core.domain.state import OrderState
from galaxy_core.testing.factories import make_event, make_order, make_response, make_session
from tests.web_doubles import World, browser


@pytest.fixture
def world() -> World:
    """What the API shows: one of everything."""
    world = World()
    ended = make_order(id="ended", media=(), wire={"payload": "x", "odd": [1]})
    world.put(ended, OrderState.FAILED, response=make_response())
    world.put(make_order(id="runs"), OrderState.RUNNING)
    world.events.append(("test", make_event(data={"a": 1})))
    world.threads = [("test", make_session())]
    return world


@pytest.fixture
def api(world: World) -> httpx.AsyncClient:
    """A program that asks it."""
    return browser(routes(world, world, world, version="1.2.3", now=lambda: world.now))


async def _document(api: httpx.AsyncClient) -> dict[str, Any]:
    response = await api.get("/api/openapi.json")
    assert response.status_code == 200
    document: dict[str, Any] = response.json()
    return document


async def test_document_describes_every_route_and_no_other(
    world: World, api: httpx.AsyncClient
) -> None:
    """What is served and what is described are the same, method for method."""
    served = set()
    for route in routes(world, world, world, version="1"):
        assert isinstance(route, Route)
        if isinstance(route.app, _Resource):
            path = route.path.replace(":path}", "}")
            served |= {(m, path) for m in route.app._operations if m != "HEAD"}
    paths = (await _document(api))["paths"]
    described = {(m.upper(), path) for path, methods in paths.items() for m in methods}
    assert served == described
    assert len(described) == 18
    ids = [operation["operationId"] for methods in paths.values() for operation in methods.values()]
    assert len(ids) == len(set(ids))


async def test_document_has_no_loose_end(api: httpx.AsyncClient) -> None:
    """Every reference leads to a schema, every schema is needed, names in paths are declared."""
    document = await _document(api)
    text = json.dumps(document)
    schemas = document["components"]["schemas"]
    for name in schemas:
        if name not in {"ProgressDocument", "TextDocument"}:  # members of a stream
            assert f'"#/components/schemas/{name}"' in text, name
    for reference in text.split('"$ref": "#/components/schemas/')[1:]:
        assert reference.partition('"')[0] in schemas
    for path, methods in document["paths"].items():
        names = {part[1:-1] for part in path.split("/") if part.startswith("{")}
        for operation in methods.values():
            declared = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
            assert declared == names, path


@pytest.mark.parametrize(
    "method, path, status",
    [
        ("GET", "/api/status", 200),
        ("GET", "/api/overview", 200),
        ("GET", "/api/machines", 200),
        ("GET", "/api/orders", 200),
        ("POST", "/api/orders", 201),
        ("GET", "/api/orders/{order_id}", 200),
        ("GET", "/api/orders/{order_id}/wait", 200),
        ("POST", "/api/orders/{order_id}/cancel", 200),
        ("POST", "/api/orders/{order_id}/retry", 201),
        ("GET", "/api/sessions", 200),
        ("GET", "/api/audit", 200),
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
    ],
)
async def test_answers_fit_their_schemas(
    api: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    """What is answered has the members and types that the document promises."""
    document = await _document(api)
    body = {"payload": "x"} if path == "/api/orders" and method == "POST" else None
    response = await api.request(method, path.replace("{order_id}", "ended"), json=body)
    assert response.status_code == status, response.text
    described = document["paths"][path][method.lower()]["responses"][str(status)]
    _check(response.json(), described["content"]["application/json"]["schema"], document, "$")


def _check(value: Any, schema: dict[str, Any], document: dict[str, Any], at: str) -> None:  # noqa: ANN401, C901
    """As much of JSON Schema as the document uses."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        nulls = [each for each in schema["anyOf"] if each.get("type") == "null"]
        (other,) = (each for each in schema["anyOf"] if each.get("type") != "null")
        assert nulls
        if value is not None:
            _check(value, other, document, at)
        return
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    names = {
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "array": list,
        "object": dict,
        "null": type(None),
    }
    if kinds:
        assert isinstance(value, tuple(_flat(names[k] for k in kinds))), (at, value, kinds)
    if "enum" in schema:
        assert value in schema["enum"], at
    if isinstance(value, dict) and "properties" in schema:
        assert set(value) == set(schema["properties"]) == set(schema["required"]), at
        for key, item in value.items():
            _check(item, schema["properties"][key], document, f"{at}.{key}")
    elif isinstance(value, dict) and "additionalProperties" in schema:
        for key, item in value.items():
            _check(item, schema["additionalProperties"], document, f"{at}.{key}")
    if isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            _check(item, schema["items"], document, f"{at}[{number}]")


def _flat(kinds: Any) -> list[type]:  # noqa: ANN401
    return [each for kind in kinds for each in (kind if isinstance(kind, tuple) else (kind,))]


@pytest.mark.parametrize(
    "method, path, allowed",
    [
        ("DELETE", "/api/orders", "GET, HEAD, OPTIONS, POST"),
        ("PUT", "/api/orders/ended", "GET, HEAD, OPTIONS"),
        ("GET", "/api/orders/ended/cancel", "OPTIONS, POST"),
        ("POST", "/api/status", "GET, HEAD, OPTIONS"),
        ("POST", "/metrics", "GET, HEAD, OPTIONS"),
        ("GET", "/api/sessions/one", "DELETE, OPTIONS"),
        ("PATCH", "/api/audit", "GET, HEAD, OPTIONS"),
    ],
)
async def test_wrong_method_is_told_the_right_ones(
    api: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    """405 with Allow, in words too; nothing happened."""
    response = await api.request(method, path)
    assert response.status_code == 405
    assert response.headers["allow"] == allowed
    assert response.headers["content-type"] == "application/problem+json"
    assert (await api.options(path)).headers["allow"] == allowed


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/nothing", "/apis", "/api/orders/a/b/c"])
async def test_unknown_path_is_a_problem(api: httpx.AsyncClient, path: str) -> None:
    """404 leads to the document."""
    response = await api.get(path)
    assert response.status_code == 404
    if path != "/apis":
        assert "openapi.json" in response.json()["detail"]


async def test_head_is_answered_as_get(world: World) -> None:
    """HEAD is answered as GET is, for monitoring; the server leaves the body out."""
    api = browser(routes(world, world, world, version="1"))
    response = await api.head("/api/orders/runs")
    assert response.status_code == 200
