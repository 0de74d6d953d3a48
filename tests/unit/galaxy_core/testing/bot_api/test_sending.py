"""Messages, edits, deletions, answers, topics: what Telegram does and what it refuses."""

from typing import Any

import pytest

from galaxy_core.testing.bot_api import Person
from tests.unit.galaxy_core.testing.bot_api.caller import Caller

YES = {"inline_keyboard": [[{"text": "Yes", "callback_data": "y"}]]}
NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same"
    " as a current content and reply markup of the message"
)


async def test_a_sent_message_is_given_back_whole(call: Caller, ann: Person) -> None:
    """Sender, chat, number and date are in it, as bots expect."""
    sent = await call.result("sendMessage", chat_id=ann.id, text="hi", reply_markup=YES)
    assert sent["from"]["username"] == "galaxy_test_bot"
    assert sent["chat"] == {
        "id": ann.id,
        "first_name": "Ann",
        "username": ann.user["username"],
        "type": "private",
    }
    assert sent["reply_markup"] == YES
    again = await call.result("sendMessage", chat_id=ann.id, text="hi")
    assert again["message_id"] > sent["message_id"]
    assert call.server.copies(ann) == {"hi": 2}


async def test_edits(call: Caller, ann: Person) -> None:
    """Text, buttons and both; what is not given again is gone."""
    sent = await call.result("sendMessage", chat_id=ann.id, text="a", reply_markup=YES)
    where: dict[str, Any] = {"chat_id": ann.id, "message_id": sent["message_id"]}
    edited = await call.result("editMessageText", **where, text="b", reply_markup=YES)
    assert edited["edit_date"] >= sent["date"]
    await call.result("editMessageText", **where, text="b")
    assert call.server.sent(ann)[0].buttons == ()
    assert await call.refusal("editMessageText", **where, text="b ") == NOT_MODIFIED
    await call.result("editMessageReplyMarkup", **where, reply_markup=YES)
    assert await call.refusal("editMessageReplyMarkup", **where, reply_markup=YES) == NOT_MODIFIED
    await call.result("editMessageReplyMarkup", **where)
    [seen] = call.server.sent(ann)
    assert (seen.text, seen.buttons, seen.edits) == ("b", (), 4)


async def test_edits_that_are_refused(call: Caller, ann: Person) -> None:
    """Messages that are gone, are not the bot's, or hold no text."""
    sent = await call.result("sendMessage", chat_id=ann.id, text="a")
    where: dict[str, Any] = {"chat_id": ann.id, "message_id": sent["message_id"]}
    refusal = await call.refusal("editMessageCaption", **where, caption="x")
    assert refusal == "there is no caption in the message to edit"
    await call.result("deleteMessage", **where)
    assert await call.refusal("editMessageText", **where, text="b") == "message to edit not found"
    assert await call.refusal("deleteMessage", **where) == "message to delete not found"
    theirs = ann.writes("mine")["message_id"]
    refusal = await call.refusal("editMessageText", chat_id=ann.id, message_id=theirs, text="b")
    assert refusal == "message can't be edited"
    assert call.server.sent(ann) == ()


async def test_captions_are_edited(call: Caller, ann: Person) -> None:
    """A file keeps its content and gets another caption."""
    file = ann.sends_document("a.txt", b"a")["document"]["file_id"]
    sent = await call.result("sendDocument", chat_id=ann.id, document=file, caption="a")
    where: dict[str, Any] = {"chat_id": ann.id, "message_id": sent["message_id"]}
    await call.result("editMessageCaption", **where, caption="b")
    [seen] = call.server.sent(ann)
    assert (seen.text, seen.files[0].content) == ("b", b"a")
    refusal = await call.refusal("editMessageText", **where, text="x")
    assert refusal == "there is no text in the message to edit"


async def test_what_may_be_deleted(call: Caller, ann: Person) -> None:
    """In groups only the bot's own messages, unless it administrates; nothing of last week."""
    group = call.server.group("Team", ann, kind="group")
    theirs = ann.writes("mine", chat=group)["message_id"]
    where = {"chat_id": group.id, "message_id": theirs}
    assert await call.refusal("deleteMessage", **where) == "message can't be deleted"
    group.adds_bot(ann, "administrator")
    assert await call.result("deleteMessage", **where)
    old = await call.result("sendMessage", chat_id=ann.id, text="old")
    stored = ann.chat.messages[old["message_id"]]
    stored.content["date"] -= 49 * 3600
    refusal = await call.refusal("deleteMessage", chat_id=ann.id, message_id=old["message_id"])
    assert refusal == "message can't be deleted"


async def test_answers_to_messages(call: Caller, ann: Person) -> None:
    """A reply shows what it answers; to something that is gone only on request."""
    question = ann.writes("what?")["message_id"]
    arguments: dict[str, Any] = {"chat_id": ann.id, "text": "that"}
    sent = await call.result("sendMessage", **arguments, reply_parameters={"message_id": question})
    assert sent["reply_to_message"]["text"] == "what?"
    gone = {"message_id": 999_999}
    refusal = await call.refusal("sendMessage", **arguments, reply_parameters=gone)
    assert refusal == "message to be replied not found"
    gone["allow_sending_without_reply"] = True
    sent = await call.result("sendMessage", **arguments, reply_parameters=gone)
    assert "reply_to_message" not in sent
    sent = await call.result("sendMessage", **arguments, reply_to_message_id=question)
    assert call.server.sent(ann)[-1].reply_to == question


async def test_topics(call: Caller, ann: Person) -> None:
    """Only topics that are there and open; the general one is not named."""
    forum = call.server.group("Forum", ann, is_forum=True, bot_status="administrator")
    made = await call.result("createForumTopic", chat_id=forum.id, name="Ideas")
    thread = made["message_thread_id"]
    sent = await call.result("sendMessage", chat_id=forum.id, text="a", message_thread_id=thread)
    assert (sent["message_thread_id"], sent["is_topic_message"]) == (thread, True)
    for unknown in (1, 424242):
        refusal = await call.refusal(
            "sendMessage", chat_id=forum.id, text="a", message_thread_id=unknown
        )
        assert refusal == "message thread not found"
    general = {"chat_id": forum.id, "message_thread_id": 1}
    assert await call.result("sendChatAction", **general, action="typing")
    ann.closes_topic(thread, chat=forum)
    refusal = await call.refusal(
        "sendMessage", chat_id=forum.id, text="a", message_thread_id=thread
    )
    assert refusal == "TOPIC_CLOSED"


async def test_topics_in_private_chats(call: Caller, ann: Person) -> None:
    """Only where the bot has them switched on."""
    arguments = {"chat_id": ann.id, "name": "Ideas"}
    assert await call.refusal("createForumTopic", **arguments) == "the chat is not a forum"
    call.server.bot["has_topics_enabled"] = True
    made = await call.result("createForumTopic", **arguments)
    message = ann.writes("in there", thread=made["message_thread_id"])
    assert message["is_topic_message"]
    too_long = await call.refusal("createForumTopic", chat_id=ann.id, name="x" * 129)
    assert too_long == "TOPIC_TITLE_TOO_LONG"


async def test_chats_that_refuse(call: Caller, ann: Person) -> None:
    """Unknown, blocked, deleted, left, kicked: each in its own words."""
    stranger = call.server.person("Eve", has_started=False)
    for chat_id in (stranger.id, "@nobody", "nobody"):
        refusal = await call.refusal("sendMessage", chat_id=chat_id, text="a")
        assert refusal == "chat not found"
    assert await call.refusal("sendMessage", text="a") == "chat_id is empty"
    stranger.starts()
    await call.result("sendMessage", chat_id=stranger.id, text="a")
    expected = {}
    ann.blocks()
    expected[ann.id] = "Forbidden: bot was blocked by the user"
    stranger.vanishes()
    expected[stranger.id] = "Forbidden: user is deactivated"
    kicking = call.server.group("Team", ann)
    kicking.kicks_bot(ann)
    expected[kicking.id] = "Forbidden: bot was kicked from the supergroup chat"
    left = call.server.group("Others", ann, kind="group")
    await call.result("leaveChat", chat_id=left.id)
    expected[left.id] = "Forbidden: bot is not a member of the group chat"
    for chat_id, description in expected.items():
        answer = await call("sendMessage", chat_id=chat_id, text="a")
        assert (answer["error_code"], answer["description"]) == (403, description)
    ann.unblocks()
    await call.result("sendMessage", chat_id=ann.id, text="again")


async def test_a_group_that_became_a_supergroup(call: Caller, ann: Person) -> None:
    """The refusal names the new chat, which knows where it came from."""
    group = call.server.group("Team", ann, kind="group")
    new = group.upgrades()
    answer = await call("sendMessage", chat_id=group.id, text="a")
    assert answer["description"] == "Bad Request: group chat was upgraded to a supergroup chat"
    assert answer["parameters"] == {"migrate_to_chat_id": new.id}
    updates = await call.result("getUpdates")
    assert [
        set(one["message"]) & {"migrate_to_chat_id", "migrate_from_chat_id"} for one in updates
    ] == [
        {"migrate_to_chat_id"},
        {"migrate_from_chat_id"},
    ]


async def test_drafts(call: Caller, ann: Person) -> None:
    """Only in private chats, under a number; an empty one means that it thinks."""
    assert await call.result("sendMessageDraft", chat_id=ann.id, draft_id=1, text="")
    assert await call.result("sendMessageDraft", chat_id=ann.id, draft_id=1, text="so far")
    assert ann.chat.drafts == {1: {"text": "so far"}}
    assert await call.refusal("sendMessageDraft", chat_id=ann.id, text="a") == "DRAFT_ID_INVALID"
    group = call.server.group("Team", ann)
    refusal = await call.refusal("sendMessageDraft", chat_id=group.id, draft_id=1, text="a")
    assert refusal == "PEER_ID_INVALID"
    assert call.server.sent(ann) == ()


@pytest.mark.parametrize("action,is_fine", [("typing", True), ("dancing", False)])
async def test_actions(call: Caller, ann: Person, action: str, is_fine: bool) -> None:  # noqa: FBT001
    """Only actions that exist."""
    answer = await call("sendChatAction", chat_id=ann.id, action=action)
    assert answer["ok"] is is_fine
    assert ann.chat.actions == [action] * is_fine


async def test_reactions(call: Caller, ann: Person) -> None:
    """One emoji under a message that is there."""
    message = ann.writes("do it")["message_id"]
    where: dict[str, Any] = {"chat_id": ann.id, "message_id": message}
    thumb = {"type": "emoji", "emoji": "👍"}
    assert await call.result("setMessageReaction", **where, reaction=[thumb])
    refusal = await call.refusal("setMessageReaction", **where, reaction=[thumb, thumb])
    assert refusal == "REACTIONS_TOO_MANY"
    assert await call.refusal("setMessageReaction", **where, reaction=[{}]) == "REACTION_INVALID"
    missing = await call.refusal("setMessageReaction", chat_id=ann.id, message_id=99, reaction=[])
    assert missing == "message to react not found"
