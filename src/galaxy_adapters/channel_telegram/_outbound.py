"""The way out: letters, cards and hints become calls."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, assert_never

import structlog
from anyio import to_thread
from attrs import define, evolve, field, frozen

from galaxy_adapters.channel_telegram._calls import Calls, Connection, MessageGone, Refused
from galaxy_adapters.channel_telegram._cards import card_text
from galaxy_adapters.channel_telegram._errors import CallFailed, CallRefused, Trouble
from galaxy_adapters.channel_telegram._letters import (
    REPEAT,
    FilesPart,
    Part,
    TextPart,
    WholePart,
    parts_of,
)
from galaxy_adapters.channel_telegram._markdown import from_markdown
from galaxy_adapters.channel_telegram._outgoing import (
    Kept,
    OutgoingFile,
    OutgoingRules,
    open_file,
)
from galaxy_adapters.channel_telegram._split import (
    LONGEST_CAPTION,
    LONGEST_TEXT,
    can_be_seen,
    cut_to,
    end_of,
)
from galaxy_adapters.channel_telegram._text import RichText, cleaned, joined, plain
from galaxy_adapters.channel_telegram._upload import Upload
from galaxy_core.domain.errors import (
    ChatUnreachable,
    DeliveryUnknown,
    PermanentError,
    TransientError,
)
from galaxy_core.domain.letter import Buttons, ButtonStyle, Letter, Receipt
from galaxy_core.domain.message import Address
from galaxy_core.domain.status import Card, Draft, Hint, OrderStatus, PressAnswered, Typing
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.command_menu import MenuEntry

log = structlog.get_logger(__name__)

_KEPT_PARTS = 4
"""Letters whose parts are remembered, so that each is cut once and not once for every part."""
_LONG_TEXT = 8_000
"""Characters from which on a text is read in a thread of its own: it takes milliseconds."""
_LONGEST_DRAFT = 4 * LONGEST_TEXT
_LONGEST_LABEL = 64
_LONGEST_ANSWER = 200
_LONGEST_DESCRIPTION = 256
_NO_PREVIEW = {"is_disabled": True}
_STYLES = {ButtonStyle.POSITIVE: "success", ButtonStyle.NEGATIVE: "danger"}


@frozen(kw_only=True)
class BotHealth:
    """Whether Telegram knows the bot."""

    username: str | None = None
    problem: str | None = None
    """What is wrong and what to do about it; None when nothing is."""


@define(eq=False)
class Outbound:
    """The writing half of the channel."""

    _name: str
    _api: Connection
    _clock: Clock
    _rules: OutgoingRules = field(factory=OutgoingRules)
    _has_drafts: bool = True
    """Until Telegram says that it has no such thing."""
    _calls: Calls = field(init=False)
    _parts: OrderedDict[Letter, tuple[Part, ...]] = field(
        factory=OrderedDict, init=False, repr=False
    )

    def __attrs_post_init__(self) -> None:
        self._calls = Calls(self._api)

    # ---- letters

    async def send(
        self, letter: Letter, address: Address, part: int, *, is_repeat: bool
    ) -> Receipt:
        """Do as `Channel.send` says."""
        parts = await self._cut(letter)
        if not 1 <= part <= len(parts):
            raise PermanentError(f"the letter {letter.name} has {len(parts)} parts, not {part}")
        is_last = part == len(parts)
        common = _place(address)
        if part == 1 and address.chat_id == letter.chat_id:
            common["reply_parameters"] = _reply(letter.reply_to)
        if is_last:
            common["reply_markup"] = _keyboard(letter.buttons)
        result = await self._deliver(parts[part - 1], common, plain(REPEAT if is_repeat else ""))
        return Receipt(
            channel=self._name,
            chat_id=address.chat_id,
            message_ids=_ids(result),
            at=self._clock.now(),
            part=part,
            is_last=is_last,
        )

    async def _cut(self, letter: Letter) -> tuple[Part, ...]:
        letter = evolve(letter, receipts=(), is_sent=False)  # which grow while it is delivered
        parts = self._parts.pop(letter, None)
        if parts is None:
            parts = await _in_thread(len(letter.message), partial(parts_of, letter))
        self._parts[letter] = parts
        while len(self._parts) > _KEPT_PARTS:
            self._parts.popitem(last=False)
        return parts

    async def _deliver(self, part: Part, common: dict[str, object], mark: RichText) -> Any:  # noqa: ANN401
        match part:
            case TextPart():
                return await self._text(joined([mark, part.text]), common)
            case WholePart():
                document = {"document": Upload(part.name, part.content), **_caption(mark)}
                return await self._calls.write("sendDocument", common | document)
            case FilesPart():
                return await self._files(part, common, mark)
            case _:
                assert_never(part)

    async def _text(self, text: RichText, common: Mapping[str, object]) -> Any:  # noqa: ANN401
        return await self._calls.write("sendMessage", {**common, **_message(text)})

    async def _files(self, part: FilesPart, common: dict[str, object], mark: RichText) -> Any:  # noqa: ANN401
        found = await to_thread.run_sync(lambda: [open_file(p, self._rules) for p in part.paths])
        files = [file for file in found if isinstance(file, OutgoingFile)]
        lines = "\n".join(file.line for file in found if isinstance(file, Kept))
        words = joined([mark, plain(lines)])
        try:
            if not files:
                return await self._text(words, common)
            are_photos = part.are_photos and all(
                file.size <= self._rules.largest_photo_bytes for file in files
            )
            if are_photos:
                try:
                    return await self._upload("photo", files, common, words)
                except Refused as refusal:  # its sides, its format: a document is never too odd
                    log.info("telegram.photo_refused", error=str(refusal))
            return await self._upload("document", files, common, words)
        finally:
            for file in files:
                file.stream.close()

    async def _upload(
        self, kind: str, files: list[OutgoingFile], common: dict[str, object], words: RichText
    ) -> Any:  # noqa: ANN401
        for file in files:
            file.stream.seek(0)
        uploads = [Upload(file.name, file.stream) for file in files]
        if len(uploads) == 1:
            return await self._calls.write(
                f"send{kind.capitalize()}", {**common, kind: uploads[0], **_caption(words)}
            )
        # An album shows the caption of its first file, and has no buttons.
        media: list[dict[str, object]] = [{"type": kind, "media": upload} for upload in uploads]
        media[0] |= _caption(words)
        return await self._calls.write("sendMediaGroup", {**common, "media": media})

    # ---- cards

    async def show(self, card: Card, address: Address, message_id: str | None) -> str | None:
        """Do as `Channel.show` says."""
        message = {**_message(card_text(card)), "reply_markup": _keyboard(card.buttons)}
        shown = _number(message_id)
        if shown is not None:
            edit = {"chat_id": address.chat_id, "message_id": shown, **message}
            try:
                await self._calls.write("editMessageText", edit)
            except MessageGone:
                pass
            except DeliveryUnknown as error:  # the same edit twice is one edit
                raise TransientError(str(error)) from None
            else:
                return message_id
        if isinstance(card, OrderStatus):
            message |= {"reply_parameters": _reply(card.reply_to), "disable_notification": True}
        ids = _ids(await self._calls.write("sendMessage", {**_place(address), **message}))
        return ids[0] if ids else None

    # ---- hints

    async def hint(self, hint: Hint, address: Address) -> None:
        """Do as `Channel.hint` says."""
        call = await self._hint_call(hint, address)
        if call is None:
            return
        method, parameters = call
        given = {key: value for key, value in parameters.items() if value is not None}
        if "chat_id" in given:
            given["chat_id"] = self._calls.now_at(address.chat_id)
        try:
            await self._api.call(method, given)
        except CallRefused as refusal:
            log.debug("telegram.hint_refused", method=method, error=refusal.description)
        except CallFailed as failure:
            if failure.trouble is Trouble.FLOOD:
                raise TransientError(str(failure), retry_after=failure.retry_after) from None
            if failure.trouble is Trouble.TOKEN and isinstance(hint, Draft):
                # An unknown method and an unknown token look alike; with the latter nothing
                # else is shown either.
                self._has_drafts = False
            log.debug("telegram.hint_failed", method=method, error=str(failure))

    async def _hint_call(
        self, hint: Hint, address: Address
    ) -> tuple[str, dict[str, object]] | None:
        match hint:
            case Typing():
                return "sendChatAction", {**_place(address), "action": "typing"}
            case PressAnswered():
                return "answerCallbackQuery", {
                    "callback_query_id": hint.press_id,
                    "text": cleaned(hint.text)[:_LONGEST_ANSWER] or None,
                    "show_alert": hint.is_alert or None,
                }
            case Draft():
                is_private = (_number(address.chat_id) or 0) > 0
                if not (self._has_drafts and is_private and can_be_seen(hint.text)):
                    return None
                # Only its end is seen: that much is read.
                written = hint.text[-_LONGEST_DRAFT:]
                text = end_of(from_markdown(written), LONGEST_TEXT)
                if not can_be_seen(text.text):
                    return None
                return "sendMessageDraft", {
                    **_place(address),
                    "draft_id": _draft_id(hint.order_id),
                    "text": text.text,
                    "entities": text.entities() or None,
                }
            case _:
                assert_never(hint)

    # ---- the bot itself

    async def publish(
        self, everyone: Sequence[MenuEntry], people: Mapping[str, Sequence[MenuEntry]]
    ) -> None:
        """Do as `CommandMenu.publish` says."""
        await self._calls.write("setMyCommands", {"commands": _commands(everyone)})
        for person, menu in people.items():
            scope = {"type": "chat", "chat_id": _number(person)}
            try:
                await self._calls.write(
                    "setMyCommands", {"commands": _commands(menu), "scope": scope}
                )
            except (ChatUnreachable, Refused) as error:
                # They have never written to the bot: they get their menu when it is next set.
                log.debug("telegram.menu_refused", person=person, error=str(error))

    async def check(self) -> BotHealth:
        """Ask Telegram who the bot is."""
        try:
            me = await self._api.call("getMe")
            return BotHealth(username=str(me["username"]))
        except CallFailed as failure:
            if failure.trouble is Trouble.TOKEN:
                return BotHealth(
                    problem="Telegram does not know this token: copy it anew from @BotFather."
                )
            return BotHealth(problem=f"Telegram cannot be reached: {failure}.")
        except (CallRefused, KeyError, TypeError):
            return BotHealth(problem="What answered is no Bot API server: look at its address.")


# ---- parameters


def _place(address: Address) -> dict[str, object]:
    return {"chat_id": address.chat_id, "message_thread_id": _number(address.topic)}


def _reply(message_id: str | None) -> dict[str, object] | None:
    number = _number(message_id)
    if number is None:
        return None
    return {"message_id": number, "allow_sending_without_reply": True}


def _message(text: RichText) -> dict[str, object]:
    return {
        "text": text.text,
        "entities": text.entities() or None,
        "link_preview_options": _NO_PREVIEW,
    }


def _caption(text: RichText) -> dict[str, object]:
    caption = cut_to(text, LONGEST_CAPTION)
    if not caption.text:
        return {}
    entities = caption.entities()
    return {"caption": caption.text} | ({"caption_entities": entities} if entities else {})


def _keyboard(buttons: Buttons) -> dict[str, object] | None:
    rows = [
        [
            {
                "text": cleaned(button.text).strip()[:_LONGEST_LABEL] or "\u2026",
                "callback_data": button.data,
            }
            | ({"style": _STYLES[button.style]} if button.style in _STYLES else {})
            for button in row
        ]
        for row in buttons
    ]
    return {"inline_keyboard": rows} if rows else None


def _commands(menu: Sequence[MenuEntry]) -> list[dict[str, str]]:
    return [
        {"command": entry.command, "description": entry.description[:_LONGEST_DESCRIPTION]}
        for entry in menu
    ]


def _number(text: str | None) -> int | None:
    """A number that Telegram gave us, and that came back as text."""
    try:
        return int(text) if text else None
    except ValueError:
        return None


def _ids(result: Any) -> tuple[str, ...]:  # noqa: ANN401 - JSON as it came
    messages = result if isinstance(result, list) else [result]
    return tuple(
        str(message["message_id"])
        for message in messages
        if isinstance(message, dict) and "message_id" in message
    )


def _draft_id(order_id: str) -> int:
    """The number of an order's draft: the same in every process, and never zero."""
    return int.from_bytes(hashlib.sha256(order_id.encode()).digest()[:3]) + 1


async def _in_thread(size: int, work: Callable[[], tuple[Part, ...]]) -> tuple[Part, ...]:
    return await to_thread.run_sync(work) if size > _LONG_TEXT else work()
