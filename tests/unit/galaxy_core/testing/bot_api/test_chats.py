"""The bot itself, chats, members and menus."""

from typing import Any

import pytest

from galaxy_core.testing.bot_api import Person
from tests.unit.galaxy_core.testing.bot_api.caller import Caller


async def test_who_the_bot_is(call: Caller) -> None:
    """The number is the first half of the token."""
    me = await call.result("getMe")
    assert str(me["id"]) == call.server.token.partition(":")[0]
    assert me["is_bot"]


async def test_members(call: Caller, ann: Person) -> None:
    """Everybody has a status, also who is not there."""
    bob, eve = call.server.person("Bob"), call.server.person("Eve")
    group = call.server.group("Team", ann, bob)
    bot_id = call.server.bot["id"]
    expected = {ann.id: "creator", bob.id: "member", eve.id: "left", bot_id: "member"}
    for user_id, status in expected.items():
        member = await call.result("getChatMember", chat_id=group.id, user_id=user_id)
        assert (member["user"]["id"], member["status"]) == (user_id, status)
    unknown = await call.refusal("getChatMember", chat_id=group.id, user_id=1)
    assert unknown == "PARTICIPANT_ID_INVALID"
    chat = await call.result("getChat", chat_id=group.id)
    assert (chat["title"], chat["type"]) == ("Team", "supergroup")


async def test_menus_by_scope(call: Caller, ann: Person) -> None:
    """Each scope and language has a menu of its own."""
    start = {"command": "start", "description": "Begin"}
    stop = {"command": "stop", "description": "End"}
    scope = {"type": "chat", "chat_id": ann.id}
    await call.result("setMyCommands", commands=[start])
    await call.result("setMyCommands", commands=[start, stop], scope=scope)
    await call.result("setMyCommands", commands=[stop], language_code="de")
    assert await call.result("getMyCommands") == [start]
    assert await call.result("getMyCommands", scope=scope) == [start, stop]
    assert await call.result("getMyCommands", language_code="de") == [stop]
    await call.result("deleteMyCommands", scope=scope)
    assert await call.result("getMyCommands", scope=scope) == []


@pytest.mark.parametrize(
    "commands,scope,refusal",
    [
        ([{"command": "Start", "description": "a"}], None, "BOT_COMMAND_INVALID"),
        ([{"command": "x" * 33, "description": "a"}], None, "BOT_COMMAND_INVALID"),
        ([{"command": "a", "description": ""}], None, "BOT_COMMAND_DESCRIPTION_INVALID"),
        ([{"command": "a", "description": "x" * 257}], None, "BOT_COMMAND_DESCRIPTION_INVALID"),
        ([{"command": "a", "description": "a"}] * 101, None, "BOT_COMMANDS_TOO_MUCH"),
        ([], {"type": "everywhere"}, "Unsupported type specified"),
        ([], {"type": "chat", "chat_id": 1}, "chat not found"),
        ([], {"type": "chat"}, 'Can\'t find field "chat_id"'),
    ],
)
async def test_menus_that_are_refused(
    call: Caller, commands: list[Any], scope: dict[str, Any] | None, refusal: str
) -> None:
    """Names, descriptions, their number, and scopes that there are."""
    assert refusal in await call.refusal("setMyCommands", commands=commands, scope=scope)


async def test_private_chats_are_not_left(call: Caller, ann: Person) -> None:
    """There is nobody else in them."""
    assert "private" in await call.refusal("leaveChat", chat_id=ann.id)
