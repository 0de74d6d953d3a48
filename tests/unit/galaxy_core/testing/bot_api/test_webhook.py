"""Webhooks: called with the secret, again and again until they say 200."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from attrs import Factory, define

from galaxy_core.testing.bot_api import Person
from galaxy_core.testing.http import Response, read_request
from tests.unit.galaxy_core.testing.bot_api.caller import Caller


@define
class Hook:
    """A bot that listens."""

    url: str = ""
    answers: list[int] = Factory(list)
    """Statuses to answer with; 200 when there are no more."""
    received: list[Any] = Factory(list)
    secrets: list[str] = Factory(list)
    arrived: asyncio.Event = Factory(asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one update."""
        request = await read_request(reader)
        assert request is not None
        self.received.append(json.loads(request.body)["message"]["text"])
        self.secrets.append(request.headers.get("x-telegram-bot-api-secret-token", ""))
        writer.write(Response(self.answers.pop(0) if self.answers else 200).encoded())
        await writer.drain()
        writer.close()
        self.arrived.set()


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    """A listening bot."""
    made = Hook()
    async with await asyncio.start_server(made.serve, "127.0.0.1") as listening:
        made.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/hook"
        yield made


async def test_updates_are_posted_until_taken(call: Caller, ann: Person, hook: Hook) -> None:
    """In order, with the secret; a refusal holds the later ones back, and is reported."""
    hook.answers = [500, 404]
    ann.writes("one")
    ann.writes("two")
    answer = await call("setWebhook", url=hook.url, secret_token="s-1")
    assert answer["description"] == "Webhook was set"
    await call.server.until(lambda: not call.server.pending())
    assert hook.received == ["one", "one", "one", "two"]
    assert set(hook.secrets) == {"s-1"}
    info = await call.result("getWebhookInfo")
    assert (info["url"], info["pending_update_count"]) == (hook.url, 0)
    assert info["last_error_message"] == "Wrong response from the webhook: 404 Not Found"


async def test_a_webhook_that_is_not_there(call: Caller, ann: Person, hook: Hook) -> None:
    """Updates wait; the other address gets them."""
    await call.result("setWebhook", url="http://127.0.0.1:9/")
    ann.writes("one")
    await call.server.until(lambda: call.server.state.webhook.last_error)
    assert len(call.server.pending()) == 1
    await call.result("setWebhook", url=hook.url)
    await call.server.until(lambda: not call.server.pending())
    assert hook.received == ["one"]


async def test_webhooks_and_polls_exclude_each_other(call: Caller, hook: Hook) -> None:
    """409 until the webhook is gone."""
    await call.result("setWebhook", url=hook.url)
    answer = await call("getUpdates")
    assert answer["description"] == (
        "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete"
        " the webhook first"
    )
    assert (await call("deleteWebhook"))["description"] == "Webhook was deleted"
    assert (await call("deleteWebhook"))["description"] == "Webhook is already deleted"
    assert await call.result("getUpdates") == []


async def test_addresses_and_secrets_that_are_refused(call: Caller, ann: Person) -> None:
    """https, or plain http to this machine; secrets of letters, digits, - and _."""
    refusal = await call.refusal("setWebhook", url="http://example.org/")
    assert refusal == "bad webhook: An HTTPS URL must be provided for webhook"
    refusal = await call.refusal("setWebhook", url="https://example.org/", secret_token="a b")
    assert refusal == "secret token contains unallowed characters"


async def test_pending_updates_can_be_dropped(call: Caller, ann: Person) -> None:
    """Only on request."""
    ann.writes("one")
    await call.result("deleteWebhook")
    assert len(call.server.pending()) == 1
    await call.result("deleteWebhook", drop_pending_updates=True)
    assert call.server.pending() == []
