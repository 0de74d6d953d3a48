"""The one way out: calls that write, and what their failures mean to the courier.

A call that certainly did not take effect is mended and made once more where the letter can still
be shown that way: in the chat that a group has become, without a topic that is gone, without the
entities that are refused.  Everything else is the caller's decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol

from attrs import define, field

from galaxy_adapters.channel_telegram._errors import CallFailed, CallRefused
from galaxy_adapters.channel_telegram._upload import Upload
from galaxy_core.domain.errors import (
    ChatUnreachable,
    DeliveryUnknown,
    PermanentError,
    TransientError,
)

_UPLOADING = timedelta(minutes=5)
"""How much longer the answer to a call with files may take."""

_NOT_MODIFIED = "message is not modified"
_UNREACHABLE = (
    "chat not found",
    "user not found",
    "user is deactivated",
    "group chat was deactivated",
    "peer_id_invalid",
    "chat_write_forbidden",
    "have no rights to send",
    "not enough rights to send",
    "need administrator rights",
    "channel_private",
    "bot can't initiate conversation",
)
_GONE = ("message to edit not found", "message can't be edited", "message_id_invalid")
_NO_TOPIC = ("message thread not found", "topic_closed", "topic_deleted", "topic_id_invalid")
_ENTITIES = ("entit", "can't parse", "wrong http url", "url_invalid")
_FORMS = ("entities", "caption_entities")


class Connection(Protocol):
    """What is needed of `BotApi`."""

    async def call(
        self,
        method: str,
        parameters: Mapping[str, object] | None = None,
        *,
        patience: timedelta | None = None,
    ) -> Any:  # noqa: ANN401 - JSON as it came
        """Call a method; raises `CallFailed`, `CallRefused`."""


class MessageGone(PermanentError):
    """The message that should be changed is not there, or cannot be changed any more."""


class Refused(PermanentError):
    """The server refuses the call as it stands."""


@define(eq=False)
class Calls:
    """Writing calls of one bot."""

    _api: Connection
    _moved: dict[str, str] = field(factory=dict)
    """Groups that have become supergroups, under another id."""

    async def write(self, method: str, parameters: Mapping[str, object]) -> Any:  # noqa: ANN401
        """Call; the result, or None where the message had that content already.

        Raises `TransientError` when nothing happened, `DeliveryUnknown`, `ChatUnreachable`,
        `MessageGone`, `Refused`.
        """
        mended = {key: value for key, value in parameters.items() if value is not None}
        for _ in range(4):  # each mending can be done once
            chat_id = str(mended.get("chat_id", ""))
            mended |= {"chat_id": self.now_at(chat_id)} if chat_id else {}
            try:
                return await self._once(method, mended)
            except CallRefused as refusal:
                if _NOT_MODIFIED in refusal.description.lower():
                    return None
                if not self._mend(mended, refusal):
                    raise _meaning(refusal) from None
        raise Refused(f"Telegram refuses {method} in every form")

    def now_at(self, chat_id: str) -> str:
        """The id that a chat has now."""
        return self._moved.get(chat_id, chat_id)

    async def _once(self, method: str, parameters: Mapping[str, object]) -> Any:  # noqa: ANN401
        has_files = "media" in parameters or any(
            isinstance(value, Upload) for value in parameters.values()
        )
        try:
            return await self._api.call(
                method, parameters, patience=_UPLOADING if has_files else None
            )
        except CallFailed as failure:
            if failure.is_unknown:
                raise DeliveryUnknown(str(failure)) from None
            raise TransientError(str(failure), retry_after=failure.retry_after) from None

    def _mend(self, parameters: dict[str, object], refusal: CallRefused) -> bool:
        """Change what the refusal is about; False if there is nothing to change."""
        words = refusal.description.lower()
        chat_id = str(parameters.get("chat_id", ""))
        if refusal.new_chat_id is not None and refusal.new_chat_id != chat_id:
            self._moved[chat_id] = refusal.new_chat_id
            # Topics and messages of the old group are not known in the new one.
            parameters.pop("message_thread_id", None)
            parameters.pop("reply_parameters", None)
            return True
        if "message_thread_id" in parameters and any(text in words for text in _NO_TOPIC):
            del parameters["message_thread_id"]
            return True
        if any(text in words for text in _ENTITIES):
            return _drop_entities(parameters)
        return False


def _drop_entities(parameters: dict[str, object]) -> bool:
    """Take the form away, the text stays; False where there is none."""
    found = [name for name in _FORMS if parameters.pop(name, None)]
    media = parameters.get("media")
    if isinstance(media, list) and any("caption_entities" in item for item in media):
        parameters["media"] = [
            {key: value for key, value in item.items() if key not in _FORMS} for item in media
        ]
        return True
    return bool(found)


def _meaning(refusal: CallRefused) -> PermanentError:
    words = refusal.description.lower()
    if any(text in words for text in _GONE):
        return MessageGone(f"Telegram: {refusal.description}")
    if refusal.is_forbidden or any(text in words for text in _UNREACHABLE):
        return ChatUnreachable(f"Telegram: {refusal.description}")
    return Refused(f"Telegram refuses it: {refusal.description}")
