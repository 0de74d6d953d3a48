"""What people do reaches the bot as Telegram would tell it."""

from typing import Any

import pytest

from galaxy_core.testing.bot_api import BotApiServer, Person
from tests.unit.galaxy_core.testing.bot_api.caller import Caller


def told(server: BotApiServer) -> list[str]:
    """The texts that reached the bot."""
    updates = server.pending()
    return [one["message"].get("text", "") for one in updates if "message" in one]


def last(server: BotApiServer, kind: str) -> dict[str, Any]:
    """The newest update's content, which is of that kind."""
    return dict(server.pending()[-1][kind])


async def test_a_private_message(server: BotApiServer, ann: Person) -> None:
    """Sender and chat are the same person; commands and addresses are marked."""
    ann.starts("code_1")
    message = last(server, "message")
    assert message["chat"]["id"] == message["from"]["id"] == ann.id
    assert message["from"]["language_code"] == "en"
    assert (message["text"], message["entities"]) == (
        "/start code_1",
        [{"offset": 0, "length": 6, "type": "bot_command"}],
    )
    ann.writes("🙂 see https://x.y/z #tag @somebody")
    kinds = [entity["type"] for entity in last(server, "message")["entities"]]
    assert kinds == ["url", "hashtag", "mention"]
    assert last(server, "message")["entities"][0]["offset"] == 7  # in UTF-16 units


async def test_long_pastes_are_split(server: BotApiServer, ann: Person) -> None:
    """As clients do it: 4096 characters each; no client sends more at once."""
    ann.pastes("x" * 9000)
    assert [len(text) for text in told(server)] == [4096, 4096, 808]
    with pytest.raises(ValueError, match="no client"):
        ann.writes("x" * 4097)


async def test_edits(server: BotApiServer, ann: Person) -> None:
    """An update of its own; the one before stays as it was."""
    message = ann.writes("run a")
    ann.edits(message, "run /b")
    edited = last(server, "edited_message")
    assert (edited["message_id"], edited["text"]) == (message["message_id"], "run /b")
    assert edited["edit_date"] >= edited["date"]
    assert told(server) == ["run a"]


async def test_forwards(server: BotApiServer, ann: Person) -> None:
    """The text is somebody else's, and a comment comes first."""
    ann.forwards("do evil", comment="what is this?")
    assert told(server) == ["what is this?", "do evil"]
    assert last(server, "message")["forward_origin"]["type"] == "user"
    ann.forwards("hidden", origin={"type": "hidden_user", "sender_user_name": "X"})
    assert last(server, "message")["forward_origin"]["sender_user_name"] == "X"


async def test_files(server: BotApiServer, ann: Person) -> None:
    """Photos in sizes, voice with a duration, albums with a common group."""
    ann.sends_photo(b"\xff\xd8\xff", "look")
    assert len(last(server, "message")["photo"]) == 2
    ann.sends_voice(b"OggS")
    assert last(server, "message")["voice"]["mime_type"] == "audio/ogg"
    ann.sends_album([("photo", "1.jpg", b"1"), ("photo", "2.jpg", b"2")], "both #2")
    first, second = (one["message"] for one in server.pending()[-2:])
    assert first["media_group_id"] == second["media_group_id"]
    assert (first["caption"], "caption" in second) == ("both #2", False)


async def test_blocking(server: BotApiServer, ann: Person) -> None:
    """The bot is told, both ways."""
    ann.blocks()
    assert last(server, "my_chat_member")["new_chat_member"]["status"] == "kicked"
    ann.unblocks()
    assert last(server, "my_chat_member")["new_chat_member"]["status"] == "member"


async def test_privacy_in_groups(call: Caller, ann: Person) -> None:
    """Only commands, mentions and answers reach a bot, unless it administrates."""
    server = call.server
    group = server.group("Team", ann)
    own = await call.result("sendMessage", chat_id=group.id, text="hi")
    ann.writes("just talking", chat=group)
    ann.writes("/status", chat=group)
    ann.writes("/status@galaxy_test_bot", chat=group)
    ann.writes("/status@other_bot", chat=group)
    ann.writes("hey @Galaxy_Test_Bot do it", chat=group)
    ann.writes("hey @galaxy_test_bots", chat=group)
    ann.writes("and that?", chat=group, reply_to=own)
    seen = ["/status", "/status@galaxy_test_bot", "hey @Galaxy_Test_Bot do it", "and that?"]
    assert told(server) == seen
    assert last(server, "message")["reply_to_message"]["from"]["is_bot"]
    group.adds_bot(ann, "administrator")
    ann.writes("talking again", chat=group)
    assert told(server)[-1] == "talking again"
    group.kicks_bot(ann)
    ann.writes("/secret", chat=group)
    assert "/secret" not in told(server)


async def test_privacy_switched_off(server: BotApiServer, ann: Person) -> None:
    """BotFather's setting."""
    server.bot["can_read_all_group_messages"] = True
    group = server.group("Team", ann)
    ann.writes("just talking", chat=group)
    assert told(server) == ["just talking"]


async def test_senders_that_are_no_people(server: BotApiServer, ann: Person) -> None:
    """Anonymous admins, channels, linked posts and bots carry the false users of the original."""
    server.bot["can_read_all_group_messages"] = True
    group, channel = server.group("Team", ann), server.channel("News")
    group.writes_anonymously("/run")
    anonymous = last(server, "message")
    assert (anonymous["from"]["id"], anonymous["sender_chat"]["id"]) == (1087968824, group.id)
    group.writes_as_channel(channel, "as a channel")
    assert last(server, "message")["from"]["id"] == 136817688
    group.copies_post(channel, "a post")
    assert last(server, "message")["is_automatic_forward"]
    channel.posts("news")
    post = last(server, "channel_post")
    assert (post["chat"]["type"], "from" in post) == ("channel", False)
    robot = server.person("Robot", is_bot=True)
    robot.writes("/run", chat=group)
    assert last(server, "message")["from"]["is_bot"]


async def test_topics_of_groups(server: BotApiServer, ann: Person) -> None:
    """The service message's number is the topic's."""
    forum = server.group("Forum", ann, is_forum=True)
    thread = ann.opens_topic("Ideas", chat=forum)
    assert last(server, "message")["forum_topic_created"]["name"] == "Ideas"
    ann.writes("/idea", chat=forum, thread=thread)
    message = last(server, "message")
    assert (message["message_thread_id"], message["is_topic_message"]) == (thread, True)


async def test_numbers_of_messages(server: BotApiServer, ann: Person) -> None:
    """Private chats and basic groups share one row, supergroups have their own."""
    basic, large = server.group("A", ann, kind="group"), server.group("B", ann)
    numbers = [
        ann.writes("/a", chat=chat)["message_id"] for chat in (None, basic, None, large, large)
    ]
    assert numbers == [1, 2, 3, 2, 3]


async def test_any_update(server: BotApiServer) -> None:
    """What there is no person for: business messages, kinds of the future."""
    server.push_update("business_message", {"business_connection_id": "x"})
    assert last(server, "business_message") == {"business_connection_id": "x"}
