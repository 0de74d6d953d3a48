"""Telegram calls us: the webhook, on the local Bot API server."""

import json
import socket
from collections.abc import AsyncIterator

import anyio
import httpx
import pytest
from attrs import evolve

from galaxy_adapters.channel_telegram import WebhookConfig
from galaxy_adapters.channel_telegram._api import BotApi
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.testing.bot_api import BotApiServer
from tests.integration.telegram_gateway import SOON, Gateway, message, nothing

SECRET = "s3cret_of-the-tests"


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
async def server() -> AsyncIterator[BotApiServer]:
    """A server with nobody on it."""
    async with BotApiServer() as server:
        yield server


@pytest.fixture
def gateway(server: BotApiServer) -> Gateway:
    """A gateway that wants to be called."""
    gateway = Gateway(server)
    port = _free_port()
    gateway.config = evolve(
        gateway.config,
        webhook=WebhookConfig(
            url=f"http://127.0.0.1:{port}/hook", secret=SECRET, port=port, is_removed_at_stop=True
        ),
    )
    return gateway


def _url(gateway: Gateway) -> str:
    assert gateway.config.webhook is not None
    return gateway.config.webhook.url


async def test_messages(gateway: Gateway, server: BotApiServer) -> None:
    """Messages come as they do by polling, groups included, and nothing is asked for."""
    ann = server.person("Ann")
    async with gateway.process() as receiving:
        ann.writes("hello")
        assert (await message(receiving)).text == "hello"
        ann.forwards("words", comment="what is this?")
        got = await message(receiving)
    assert (got.text, len(got.quotes)) == ("what is this?", 1)
    assert not server.calls("getUpdates")


async def test_set_and_removed(gateway: Gateway, server: BotApiServer) -> None:
    """Telegram is told whom to call with which secret, and to stop; nothing waiting is dropped."""
    async with gateway.process():
        await server.until(lambda: server.state.webhook.url)
        assert server.state.webhook.secret == SECRET
    assert not server.state.webhook.url
    for call in server.calls("setWebhook") + server.calls("deleteWebhook"):
        assert call.arguments["drop_pending_updates"] is False or (
            call.arguments["drop_pending_updates"] == "false"
        )


async def test_again_after_restart(gateway: Gateway, server: BotApiServer) -> None:
    """What was not confirmed comes again under its key, once."""
    ann = server.person("Ann")
    async with gateway.process() as receiving:
        ann.writes("hello")
        first = await message(receiving)
    async with gateway.process() as receiving:
        assert await message(receiving) == first
        assert await nothing(receiving)


async def test_stored_before_answered(gateway: Gateway, server: BotApiServer) -> None:
    """A call whose update cannot be stored is refused, so that Telegram repeats it."""
    ann = server.person("Ann")
    gateway.faults.fail("notes.add", StorageUnavailable("no space is left"), times=2)
    async with gateway.process() as receiving:
        ann.writes("hello")
        assert (await message(receiving)).text == "hello"
    assert "channel_unhealthy" in gateway.incidents.kinds
    assert "channel_recovered" in gateway.incidents.kinds


async def test_strangers(gateway: Gateway, server: BotApiServer) -> None:
    """Who does not know the secret is turned away, whatever they send; nothing is stored."""
    forged = {"update_id": 1, "message": {"message_id": 1, "text": "run rm -rf /"}}
    async with gateway.process() as receiving, httpx.AsyncClient() as client:
        await server.until(lambda: server.state.webhook.url)
        for secret in ("", "wrong", SECRET + "x", SECRET.upper(), "\xe9"):
            headers = {b"x-telegram-bot-api-secret-token": secret.encode("latin-1")}
            answer = await client.post(_url(gateway), json=forged, headers=headers)
            assert answer.status_code == 403
        assert (await client.post(_url(gateway), json=forged)).status_code == 403
        headers = {b"x-telegram-bot-api-secret-token": SECRET.encode()}
        assert (await client.get(_url(gateway), headers=headers)).status_code == 405
        assert await nothing(receiving)
    assert not gateway.box.kinds.get("telegram:7000000001:update")


async def test_no_update(gateway: Gateway, server: BotApiServer) -> None:
    """What is no update is set aside, and answered so that it does not come for ever."""
    headers = {"x-telegram-bot-api-secret-token": SECRET}
    async with gateway.process() as receiving, httpx.AsyncClient() as client:
        await server.until(lambda: server.state.webhook.url)
        for body in (b"", b"<html>", b"[1]", b"\xff\xfe", json.dumps({"message": {}}).encode()):
            answer = await client.post(_url(gateway), content=body, headers=headers)
            assert answer.status_code == 200
        huge = await client.post(_url(gateway), content=b"x" * (5 << 20), headers=headers)
        assert huge.status_code == 413
        assert await nothing(receiving)
    assert gateway.incidents.kinds == ["update_set_aside"] * 5


async def test_port_taken(gateway: Gateway, server: BotApiServer) -> None:
    """A port that is taken is an alarm, and it listens as soon as it is free."""
    ann = server.person("Ann")
    assert gateway.config.webhook is not None
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", gateway.config.webhook.port))
        taken.listen()
        async with gateway.process() as receiving:
            with anyio.fail_after(SOON):
                await gateway.incidents.reported.wait()
            taken.close()
            ann.writes("hello")
            assert (await message(receiving)).text == "hello"
    assert gateway.incidents.kinds == ["channel_unhealthy", "channel_recovered"]


async def test_told_when_not_reached(gateway: Gateway, server: BotApiServer) -> None:
    """A webhook that Telegram could not call shortly before is an alarm."""
    ann = server.person("Ann")
    assert gateway.config.webhook is not None
    async with BotApi(gateway.config) as api:
        await api.call("setWebhook", {"url": _url(gateway), "secret_token": SECRET})
        ann.writes("hello")
        await server.until(lambda: server.state.webhook.last_error)
        async with gateway.process() as receiving:
            assert (await message(receiving)).text == "hello"
            with anyio.fail_after(SOON):
                await gateway.incidents.reported.wait()
    assert "cannot deliver messages" in gateway.incidents.incidents[0].message
