"""Orders as they come in: the JSON of the order files, within limits, before anything is stored."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus

from attrs import evolve
from starlette.requests import Request

from galaxy_adapters._web.problems import Problem
from galaxy_core.domain.errors import UnreadableFile
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.order import Order
from galaxy_core.wire.json_text import read_object
from galaxy_core.wire.order_reader import order_from

__all__ = ["MAX_BODY", "MAX_KEY", "read_order"]

MAX_BODY = 1_000_000
"""Bytes.  A payload of 10,000 characters needs 60,000 at most, escaped."""
MAX_KEY = 255


async def read_order(request: Request, *, received_at: datetime, key: str | None) -> Order:
    """Read the order; its id is empty where it gives none.  Raises `Problem`.

    Unlike a file, which is answered with a failed order, a body that must be refused is: its
    writer is there to be told.
    """
    _check_type(request)
    body = await _read(request)
    try:
        members = read_object(body, name="The body")
    except UnreadableFile as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"{error} Send one order as JSON.") from None
    order = order_from(members, name="new", received_at=received_at)
    if order.refusals:
        count = len(order.refusals)
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            " ".join(order.refusals),
            title="The order cannot be accepted" + (f": {count} faults" if count > 1 else ""),
            members={"errors": list(order.refusals)},
        )
    if members.get("order_id") in {None, ""}:
        order = evolve(order, id=OrderId(""))
    return _with_key(order, key)


def _check_type(request: Request) -> None:
    kind, _, rest = request.headers.get("content-type", "").partition(";")
    charset = rest.strip().casefold().removeprefix("charset=").strip('"')
    if kind.strip().casefold() != "application/json" or charset not in {"", "utf-8"}:
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "Send the order as JSON in UTF-8, with `Content-Type: application/json`.",
            headers={"Accept-Post": "application/json"},
        )


async def _read(request: Request) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length[:20]) > MAX_BODY:
        raise _too_large()
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY:
            raise _too_large()
    return bytes(body)


def _too_large() -> Problem:
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"An order has at most {MAX_BODY:,} bytes: put what is long into a file on the machine,"
        " and name it in `media`.",
        headers={"Connection": "close"},
    )


def _with_key(order: Order, key: str | None) -> Order:
    if key is None:
        return order
    # The IETF draft writes the key as a quoted string; most callers do not.
    key = key.strip()
    key = key[1:-1] if len(key) > 1 and key[0] == key[-1] == '"' else key
    if not key or not key.isprintable():
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "The `Idempotency-Key` cannot be used: write letters and digits, a UUID perhaps.",
        )
    if order.idempotency_key not in {None, key}:
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "`Idempotency-Key` and the order's `idempotency_key` differ: give one of them.",
        )
    return evolve(order, idempotency_key=key)
