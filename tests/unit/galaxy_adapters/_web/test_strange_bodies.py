"""Bodies of any bytes: each gets an answer that blames the sender or thanks, and no more."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import httpx
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from galaxy_adapters._web import Problem, read_object
from galaxy_adapters._web.uploads import FormLimits, read_form
from galaxy_adapters.http_api import routes
from tests.unit.galaxy_core.wire.strategies import outside_bytes
from tests.web_doubles import World, browser

BOUNDARY = b"----frontier"
pieces = st.sampled_from(
    [
        b"--" + BOUNDARY,
        b"\r\n",
        b"--",
        b'Content-Disposition: form-data; name="text"\r\n\r\n',
        b'Content-Disposition: form-data; name="file"; filename="../../a\x00.txt"\r\n\r\n',
        b"Content-Disposition: form-data\r\n\r\n",
        b"Content-Length: 99999999999\r\n",
        b"x" * 3000,
    ]
)
forms = st.lists(pieces | st.binary(max_size=30), max_size=14).map(b"".join)
kinds = st.sampled_from(
    [
        "multipart/form-data; boundary=" + BOUNDARY.decode(),
        "multipart/form-data",
        'multipart/form-data; boundary=""',
        "application/x-www-form-urlencoded",
        "application/json",
        "text/plain",
        "",
        ";;;==",
    ]
)
QUICK = settings(deadline=timedelta(seconds=3), max_examples=60)


def ask(client: httpx.AsyncClient, path: str, body: bytes, kind: str) -> httpx.Response:
    """Send it."""

    async def send() -> httpx.Response:
        return await client.post(path, content=body, headers={"content-type": kind})

    return anyio.run(send)


@QUICK
@given(forms | outside_bytes, kinds)
def test_forms_of_any_bytes(body: bytes, kind: str) -> None:
    """A form is read or refused; its files lie in their folder, a refused one leaves none."""
    with TemporaryDirectory() as name:
        folder = Path(name) / "uploads"

        async def take(request: Request) -> Response:
            try:
                await read_form(request, FormLimits(files=2, file_bytes=2_000), folder)
            except Problem as problem:
                return Response(status_code=problem.status)
            return Response()

        answer = ask(browser([Route("/form", take, methods=["POST"])]), "/form", body, kind)
        assert answer.status_code in {200, 400, 413, 415}, answer.text
        left = [path for path in Path(name).rglob("*") if path.is_file()]
        assert all(path.parent == folder for path in left)
        assert answer.status_code == 200 or not left


@QUICK
@given(outside_bytes, kinds)
def test_json_of_any_bytes(body: bytes, kind: str) -> None:
    """An object is read, everything else refused."""

    async def take(request: Request) -> Response:
        try:
            return JSONResponse(len(await read_object(request)))
        except Problem as problem:
            return Response(status_code=problem.status)

    answer = ask(browser([Route("/json", take, methods=["POST"])]), "/json", body, kind)
    assert answer.status_code in {200, 400, 415}, answer.text


@QUICK
@given(outside_bytes, kinds)
def test_orders_of_any_bytes(body: bytes, kind: str) -> None:
    """The operation that hands orders in takes one, or says what is wrong with it."""
    world = World()
    client = browser(routes(world, world, world, version="1", now=lambda: world.now))
    answer = ask(client, "/api/orders", body, kind)
    assert answer.status_code < 500, answer.text
