"""A server, and python-telegram-bot talking to it."""

import ssl
from collections.abc import AsyncIterator

import httpx
import pytest
from telegram import Bot
from telegram.request import HTTPXRequest

from galaxy_core.testing.bot_api import BotApiServer, Person
from tests.unit.galaxy_core.testing.bot_api.caller import Caller

_PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Reads no certificates: every call is plain http, and reading them costs a tenth of a second."""


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """Raw HTTP."""
    async with httpx.AsyncClient(timeout=10, verify=_PLAIN) as made:
        yield made


@pytest.fixture
async def server() -> AsyncIterator[BotApiServer]:
    """A fresh server."""
    async with BotApiServer() as running:
        yield running


@pytest.fixture
def ann(server: BotApiServer) -> Person:
    """Somebody who has started the bot."""
    return server.person("Ann")


@pytest.fixture
def call(server: BotApiServer, client: httpx.AsyncClient) -> Caller:
    """Calls of the bot's methods in raw HTTP."""
    return Caller(server, client)


@pytest.fixture
async def bot(server: BotApiServer) -> AsyncIterator[Bot]:
    """An unmodified python-telegram-bot."""
    request = HTTPXRequest(read_timeout=5, connect_timeout=5)
    made = Bot(
        server.token,
        base_url=server.base_url,
        base_file_url=server.base_file_url,
        request=request,
        get_updates_request=HTTPXRequest(read_timeout=5),
    )
    async with made:
        yield made
