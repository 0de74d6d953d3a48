"""Bytes of any form from the other side of HTTP: answers to our calls, and calls of a webhook."""

from __future__ import annotations

import json
from collections.abc import MutableMapping, Sequence
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import anyio
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from telegram.request import HTTPXRequest

from galaxy_adapters.channel_telegram._api import BotApi
from galaxy_adapters.channel_telegram._errors import CallFailed, CallRefused
from galaxy_adapters.channel_telegram._health import Health
from galaxy_adapters.channel_telegram._webhook import WebhookEndpoint
from galaxy_adapters.channel_telegram.config import TelegramConfig, WebhookConfig
from galaxy_core.testing.memory import ManualClock, MemoryIncidentSink
from tests.unit.galaxy_core.wire.strategies import json_values

DEEP = b"[" * 100_000
KEYS = ("ok", "result", "error_code", "description", "parameters", "retry_after", "message_id")
things = st.recursive(
    json_values | st.sampled_from([True, 10**400, -1, 429, float("nan"), "Bad Request: x"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=10,
)
bodies = (
    st.binary(max_size=200)
    | things.map(lambda thing: json.dumps(thing).encode())
    | st.fixed_dictionaries(
        {"ok": st.booleans() | things, "parameters": things, "description": things}
    ).map(lambda answer: json.dumps(answer).encode())
)
statuses = st.sampled_from([200, 204, 301, 400, 401, 403, 404, 409, 413, 418, 429, 500, 502])
QUICK = settings(deadline=None, max_examples=50)
SECRET = "a-secret-of-the-webhook"


@pytest.fixture(scope="module")
def api() -> BotApi:
    """One connection for all examples: making one loads certificates."""
    return BotApi(TelegramConfig(token="123456:abc"))


@pytest.mark.filterwarnings("ignore::telegram.warnings.PTBDeprecationWarning")
@QUICK
@given(statuses, bodies)
@example(200, DEEP)
@example(400, b'{"ok": false, "parameters": {"retry_after": 1e300}}')
@example(400, b'{"ok": false, "parameters": {"retry_after": -5}}')
@example(429, DEEP)
@example(429, b'{"parameters": {"retry_after": NaN}}')
@example(400, b'{"ok": false, "parameters": {"migrate_to_chat_id": {}}}')
def test_answers_of_any_form(api: BotApi, status: int, body: bytes) -> None:
    """Each is a result or a failure that the channel knows; none ends the gateway."""

    async def answer(*_positions: object, **_options: object) -> tuple[int, bytes]:
        return status, body

    async def play() -> None:
        try:
            await api.call("sendMessage", {"chat_id": 1, "text": "x"})
        except CallFailed as failure:
            pause = failure.retry_after
            assert pause is None or timedelta(0) <= pause <= timedelta(days=8)
        except CallRefused:
            pass

    with patch.object(HTTPXRequest, "do_request", answer):
        anyio.run(play)


@QUICK
@given(st.lists(bodies, min_size=1, max_size=3))
@example([DEEP])
@example([b"{", b"}"])
def test_calls_of_any_form(pieces: list[bytes]) -> None:
    """Each is stored as one update, whatever it is: what nobody can read must not come for ever."""
    stored: list[object] = []

    class Keep:
        async def store(self, updates: Sequence[object]) -> int | None:
            stored.extend(updates)
            return None

        def looked(self) -> None:
            """Nobody looks here."""

        @property
        def wants_look(self) -> bool:
            return False

    clock = ManualClock()
    endpoint = WebhookEndpoint(
        WebhookConfig(url="https://example.org/hook", secret=SECRET),
        Keep(),
        Health("1", clock, MemoryIncidentSink()),
    )
    assert _call(endpoint, pieces, secret=SECRET.encode()) == 200
    assert len(stored) == 1
    assert _call(endpoint, pieces, secret=b"another") == 403
    assert len(stored) == 1


def _call(endpoint: WebhookEndpoint, pieces: list[bytes], *, secret: bytes) -> int:
    left, statuses = list(pieces), []

    async def receive() -> MutableMapping[str, Any]:
        body = left.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(left)}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    headers = [(b"x-telegram-bot-api-secret-token", secret)]
    scope = {"type": "http", "method": "POST", "headers": headers}
    anyio.run(endpoint, scope, receive, send)
    return int(statuses[0])
