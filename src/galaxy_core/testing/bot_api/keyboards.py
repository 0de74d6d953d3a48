"""Reply markup: inline keyboards are checked and kept, the other kinds are only looked at.

The refusals of an empty label and of two actions are not known word for word.
"""

from __future__ import annotations

from galaxy_core.testing.bot_api.errors import bad_request
from galaxy_core.testing.bot_api.links import refusal_of
from galaxy_core.testing.bot_api.state import Json

_MOST_BUTTONS = 100
_LONGEST_DATA_BYTES = 64
_LONGEST_COPY = 256
_ACTIONS = (
    *("callback_data", "url", "web_app", "login_url", "copy_text", "pay", "callback_game"),
    *("switch_inline_query", "switch_inline_query_current_chat"),
    "switch_inline_query_chosen_chat",
)
_STYLES = {"danger", "success", "primary"}
_OTHER_KINDS = {"keyboard", "remove_keyboard", "force_reply"}


def checked_markup(markup: object) -> Json | None:
    """The inline keyboard as the message will show it; None where there is none."""
    if markup is None:
        return None
    if not isinstance(markup, dict):
        raise bad_request("object expected as reply markup")
    if "inline_keyboard" not in markup:
        if markup and not _OTHER_KINDS & markup.keys():
            raise bad_request("can't parse reply keyboard markup JSON object")
        return None
    rows = markup["inline_keyboard"]
    if not isinstance(rows, list):
        raise bad_request('Field "inline_keyboard" must be of type Array')
    if not all(isinstance(row, list) for row in rows):
        raise bad_request("can't parse inline keyboard: Expected an Array of Arrays")
    checked = [[_button(button) for button in row] for row in rows if row]
    if sum(map(len, checked)) > _MOST_BUTTONS:
        raise bad_request("reply markup is too long")
    return {"inline_keyboard": checked} if checked else None


def _button(button: object) -> Json:
    prefix = "can't parse inline keyboard button: "
    if not isinstance(button, dict):
        raise bad_request(f"{prefix}InlineKeyboardButton must be an Object")
    text = button.get("text")
    if not isinstance(text, str):
        raise bad_request(f'{prefix}Can\'t find field "text"')
    if not text.strip():
        raise bad_request("REPLY_MARKUP_INVALID")
    actions = [action for action in _ACTIONS if button.get(action) not in (None, "")]
    if not actions:
        raise bad_request(f"{prefix}Text buttons are unallowed in the inline keyboard")
    if len(actions) > 1:
        raise bad_request("BUTTON_TYPE_INVALID")
    if button.get("style", "primary") not in _STYLES:
        raise bad_request(f"{prefix}Invalid button style specified")
    _check_action(actions[0], button[actions[0]])
    return dict(button)


def _check_action(action: str, value: object) -> None:
    match action:
        case "callback_data":
            is_fine = isinstance(value, str) and len(value.encode()) <= _LONGEST_DATA_BYTES
            if not is_fine:
                raise bad_request("BUTTON_DATA_INVALID")
        case "url":
            if (reason := refusal_of(str(value))) is not None:
                raise bad_request(f"inline keyboard button URL '{value}' is invalid: {reason}")
        case "copy_text":
            copied = value.get("text") if isinstance(value, dict) else None
            if not isinstance(copied, str) or not 1 <= len(copied) <= _LONGEST_COPY:
                raise bad_request("BUTTON_COPY_TEXT_INVALID")
        case _:
            pass
