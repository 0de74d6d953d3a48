"""Updates as Telegram writes them."""

from typing import Any

Json = dict[str, Any]

BOT_ID = 7000000001
ANN: Json = {
    "id": 1001,
    "is_bot": False,
    "first_name": "Ann",
    "last_name": "Ångström",
    "username": "ann",
    "language_code": "en",
}
BEN: Json = {"id": 1002, "is_bot": False, "first_name": "Ben"}
BOT: Json = {
    "id": BOT_ID,
    "is_bot": True,
    "first_name": "Galaxy",
    "username": "galaxy_bot",
}
PRIVATE: Json = {"id": 1001, "first_name": "Ann", "username": "ann", "type": "private"}
GROUP: Json = {"id": -1001234567890, "title": "Team", "type": "supergroup"}
SMALL_GROUP: Json = {"id": -4242, "title": "Family", "type": "group"}
NEWS: Json = {"id": -1009876543210, "title": "News", "username": "news", "type": "channel"}
DATE = 1_790_000_000


def message(**more: Any) -> Json:  # noqa: ANN401 - JSON
    """A message of Ann to the bot; `text` unless it says something else."""
    content: Json = {"message_id": 10, "from": ANN, "chat": PRIVATE, "date": DATE}
    if "sender" in more:
        content["from"] = more.pop("sender")
    return content | more


def update(update_id: int = 1, **more: Any) -> Json:  # noqa: ANN401 - JSON
    """An update with such a message."""
    return {"update_id": update_id, "message": message(**more)}


def forward(**more: Any) -> Json:  # noqa: ANN401 - JSON
    """The members of a forwarded message."""
    return {"forward_origin": {"type": "user", "sender_user": BEN, "date": DATE - 100}} | more


def photo(**more: Any) -> Json:  # noqa: ANN401 - JSON
    """The members of a photo."""
    sizes = [
        {"file_id": "small", "file_unique_id": "s", "width": 90, "height": 60, "file_size": 1200},
        {"file_id": "large", "file_unique_id": "l", "width": 1280, "height": 853, "file_size": 99},
        {"file_id": "mid", "file_unique_id": "m", "width": 320, "height": 213, "file_size": 20000},
    ]
    return {"photo": sizes} | more
