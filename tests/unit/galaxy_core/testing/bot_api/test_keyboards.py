"""Buttons under messages."""

from typing import Any

import pytest

from galaxy_core.testing.bot_api import Person
from tests.unit.galaxy_core.testing.bot_api.caller import Caller


def keyboard(*buttons: dict[str, Any]) -> dict[str, Any]:
    """One row of buttons."""
    return {"inline_keyboard": [list(buttons)]}


@pytest.mark.parametrize(
    "button,refusal",
    [
        ({"text": "a", "callback_data": "é" * 33}, "BUTTON_DATA_INVALID"),
        ({"text": "a", "callback_data": ""}, "Text buttons are unallowed"),
        ({"text": "a"}, "Text buttons are unallowed in the inline keyboard"),
        ({"callback_data": "a"}, 'Can\'t find field "text"'),
        ({"text": " ", "callback_data": "a"}, "REPLY_MARKUP_INVALID"),
        ({"text": "a", "callback_data": "a", "url": "https://x.y"}, "BUTTON_TYPE_INVALID"),
        ({"text": "a", "callback_data": "a", "style": "loud"}, "Invalid button style"),
        ({"text": "a", "url": "not-a-url"}, "URL 'not-a-url' is invalid: Wrong HTTP URL"),
        ({"text": "a", "url": "ftp://x.y"}, "is invalid: Unsupported URL protocol"),
        ({"text": "a", "copy_text": {"text": "x" * 257}}, "BUTTON_COPY_TEXT_INVALID"),
    ],
)
async def test_buttons_that_are_refused(
    call: Caller, ann: Person, button: dict[str, Any], refusal: str
) -> None:
    """A label, exactly one action, 1 to 64 bytes of data, a known style."""
    found = await call.refusal(
        "sendMessage", chat_id=ann.id, text="a", reply_markup=keyboard(button)
    )
    assert refusal in found


async def test_at_most_a_hundred_buttons(call: Caller, ann: Person) -> None:
    """A hundred pass, one more does not."""
    rows = [[{"text": str(n), "callback_data": "x" * 64}] for n in range(100)]
    arguments = {"chat_id": ann.id, "text": "a"}
    await call.result("sendMessage", **arguments, reply_markup={"inline_keyboard": rows})
    rows.append(rows[0])
    found = await call.refusal("sendMessage", **arguments, reply_markup={"inline_keyboard": rows})
    assert found == "reply markup is too long"


async def test_what_people_see(call: Caller, ann: Person) -> None:
    """Rows, labels, data, addresses and styles are there."""
    red = {"text": "No", "callback_data": "n", "style": "danger"}
    link = {"text": "Docs", "url": "https://example.org/"}
    await call.result("sendMessage", chat_id=ann.id, text="?", reply_markup=keyboard(red, link))
    [seen] = call.server.sent(ann)
    [[no, docs]] = seen.buttons
    assert (no.text, no.data, no.style, docs.url) == ("No", "n", "danger", "https://example.org/")
    with pytest.raises(LookupError):
        seen.button("Yes")


async def test_a_press_is_answered_once_and_soon(call: Caller, ann: Person) -> None:
    """Twice, late or unknown: refused."""
    yes = {"text": "Yes", "callback_data": "y"}
    sent = await call.result("sendMessage", chat_id=ann.id, text="?", reply_markup=keyboard(yes))
    press = ann.presses(sent, "Yes")
    late = "query is too old and response timeout expired or query ID is invalid"
    too_long = await call.refusal("answerCallbackQuery", callback_query_id=press, text="x" * 201)
    assert too_long == "MESSAGE_TOO_LONG"
    assert await call.result("answerCallbackQuery", callback_query_id=press, text="ok")
    assert await call.refusal("answerCallbackQuery", callback_query_id=press) == late
    assert await call.refusal("answerCallbackQuery", callback_query_id="1") == late
    call.server.state.press_lives_seconds = -1
    again = ann.presses(sent, "Yes")
    assert await call.refusal("answerCallbackQuery", callback_query_id=again) == late


async def test_clients_can_send_any_data(call: Caller, ann: Person) -> None:
    """Data that no button carries arrives like any other."""
    sent = await call.result("sendMessage", chat_id=ann.id, text="no buttons")
    ann.presses(sent, "a:forged:1")
    [update] = await call.result("getUpdates")
    assert update["callback_query"]["data"] == "a:forged:1"
    assert update["callback_query"]["message"]["message_id"] == sent["message_id"]
