"""Flood control, with a clock that the test moves."""

from collections.abc import AsyncIterator

import pytest

from galaxy_core.testing.bot_api import BotApiServer, RateLimits
from tests.unit.galaxy_core.testing.bot_api.caller import Caller


class Watch:
    """Seconds."""

    now = 1000.0


@pytest.fixture
def watch() -> Watch:
    """A clock."""
    return Watch()


@pytest.fixture
async def server(watch: Watch) -> AsyncIterator[BotApiServer]:
    """A server with limits."""
    async with BotApiServer(monotonic=lambda: watch.now, limits=RateLimits()) as running:
        yield running


async def send(call: Caller, chat_id: int) -> int:
    """Write once; gives the seconds to wait, 0 if it went through."""
    answer = await call("sendMessage", chat_id=chat_id, text="a")
    return 0 if answer["ok"] else int(answer["parameters"]["retry_after"])


async def test_one_a_second_after_a_burst(call: Caller, watch: Watch) -> None:
    """Three at once, then one a second."""
    ann = call.server.person()
    assert [await send(call, ann.id) for _ in range(4)] == [0, 0, 0, 1]
    watch.now += 1
    assert [await send(call, ann.id) for _ in range(2)] == [0, 1]
    assert await send(call, call.server.person("Bob").id) == 0


async def test_who_goes_on_sending_waits_longer(call: Caller, watch: Watch) -> None:
    """Each call while refused adds a second; waiting as told ends it."""
    ann = call.server.person()
    waits = [await send(call, ann.id) for _ in range(7)]
    assert waits == [0, 0, 0, 1, 2, 3, 4]
    watch.now += 3
    assert await send(call, ann.id) == 2
    watch.now += 2
    assert await send(call, ann.id) == 0
    assert call.server.refused == 5


async def test_twenty_a_minute_in_groups(call: Caller, watch: Watch) -> None:
    """The twenty-first waits until the first is a minute old; albums count each file."""
    ann = call.server.person()
    group = call.server.group("Team", ann)
    for _ in range(18):
        assert await send(call, group.id) == 0
        watch.now += 2
    ids = [ann.sends_document("a", b"a")["document"]["file_id"] for _ in range(2)]
    media = [{"type": "document", "media": file_id} for file_id in ids]
    await call.result("sendMediaGroup", chat_id=group.id, media=media)
    assert await send(call, group.id) == 24


async def test_thirty_a_second_in_all(call: Caller, watch: Watch) -> None:
    """Over all chats; what is no message does not count."""
    people = [call.server.person() for _ in range(31)]
    assert [await send(call, one.id) for one in people] == [0] * 30 + [1]
    assert await call.result("getMe")
    assert await call.result("sendChatAction", chat_id=people[0].id, action="typing")
    watch.now += 1
    assert await send(call, people[-1].id) == 0


async def test_limits_are_switched(call: Caller) -> None:
    """Off, or others."""
    ann = call.server.person()
    call.server.limit(None)
    assert [await send(call, ann.id) for _ in range(50)] == [0] * 50
    call.server.limit(RateLimits(burst=1))
    assert [await send(call, ann.id) for _ in range(2)] == [0, 1]
