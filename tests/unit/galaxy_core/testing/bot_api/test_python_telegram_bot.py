"""An unmodified python-telegram-bot works on the server, and gets its own errors from it."""

import io

import pytest
from telegram import (
    Bot,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaDocument,
    MessageEntity,
)
from telegram.error import BadRequest, ChatMigrated, Conflict, Forbidden, InvalidToken, RetryAfter

from galaxy_core.testing.bot_api import BotApiServer, Fault, Person


async def test_a_message_and_its_answer(server: BotApiServer, bot: Bot, ann: Person) -> None:
    """A person's message arrives as an update, the answer stands in their chat."""
    ann.writes("hello /there")
    [update] = await bot.get_updates(timeout=1)
    assert update.message is not None
    assert update.message.from_user is not None
    assert (update.message.text, update.message.from_user.id) == ("hello /there", ann.id)
    await bot.send_message(ann.id, "hi", entities=[MessageEntity("bold", 0, 2)])
    [seen] = server.sent(ann)
    assert (seen.text, seen.marked("bold")) == ("hi", ["hi"])


async def test_buttons_edits_and_presses(server: BotApiServer, bot: Bot, ann: Person) -> None:
    """A press carries the button's data; an edit without buttons takes them away."""
    keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("Yes", callback_data="a:1")]])
    message = await bot.send_message(ann.id, "Run it?", reply_markup=keyboard)
    ann.presses(message.message_id, "Yes")
    [update] = await bot.get_updates()
    assert update.callback_query is not None
    assert update.callback_query.data == "a:1"
    assert await update.callback_query.answer("Done")
    await bot.edit_message_text("Ran.", ann.id, message.message_id)
    [seen] = server.sent(ann)
    assert (seen.text, seen.buttons, seen.edits) == ("Ran.", (), 1)


async def test_files_both_ways(server: BotApiServer, bot: Bot, ann: Person) -> None:
    """What a person sends can be fetched; what the bot sends is there with its name."""
    ann.sends_document("notes.txt", b"some notes", caption="look")
    [update] = await bot.get_updates()
    assert update.message is not None
    assert update.message.document is not None
    file = await update.message.document.get_file()
    assert bytes(await file.download_as_bytearray()) == b"some notes"
    await bot.send_document(ann.id, io.BytesIO(b"answer"), filename="answer.md", caption="here")
    await bot.send_media_group(
        ann.id, [InputMediaDocument(b"1", filename="1.txt"), InputMediaDocument(b"2")]
    )
    first, second, third = server.sent(ann)
    assert (first.text, first.files[0].name, first.files[0].content) == (
        "here",
        "answer.md",
        b"answer",
    )
    assert second.group == third.group is not None


@pytest.mark.filterwarnings("ignore:Deprecated since version v22.2")  # a RetryAfter is made
async def test_errors_have_their_classes(server: BotApiServer, bot: Bot, ann: Person) -> None:
    """Each refusal becomes the exception that python-telegram-bot has for it."""
    with pytest.raises(BadRequest, match="Chat not found"):
        await bot.send_message(1, "hi")
    ann.blocks()
    with pytest.raises(Forbidden, match="bot was blocked by the user"):
        await bot.send_message(ann.id, "hi")
    group = server.group("Old", kind="group")
    new = group.upgrades()
    with pytest.raises(ChatMigrated) as migrated:
        await bot.send_message(group.id, "hi")
    assert migrated.value.new_chat_id == new.id
    server.plan(Fault("flood", method="sendMessage", retry_after=7))
    with pytest.raises(RetryAfter) as told:
        await bot.send_message(new.id, "hi")
    assert str(told.value).startswith("Flood control exceeded. Retry in 7 seconds")
    server.plan(Fault("conflict", method="getUpdates"))
    with pytest.raises(Conflict, match="terminated by other getUpdates"):
        await bot.get_updates()
    server.plan(Fault("not_found", method="getUpdates"))
    with pytest.raises(InvalidToken):
        await bot.get_updates()
