"""Calls to the Bot API: python-telegram-bot's `Bot` and HTTP, our errors, none of its parsers.

This module alone imports `telegram` and `httpx` (0.3 s, some 28 MiB): the channel imports it when
it is opened.

Raw JSON goes in and out.  The library is two Bot API versions behind, and one update that it cannot
read would block all later ones.  No error that leaves here holds the address of a call, since that
contains the token; so causes are cut off (`from None`).
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Self
from urllib.parse import quote

import httpx
import telegram
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    EndPointNotFound,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
)
from telegram.request import HTTPXRequest

from galaxy_adapters.channel_telegram._errors import CallFailed, CallRefused, Trouble
from galaxy_adapters.channel_telegram._json import an_object
from galaxy_adapters.channel_telegram._upload import Upload
from galaxy_adapters.channel_telegram.config import TelegramConfig
from galaxy_core.domain.errors import PermanentError, TransientError

_CONNECT = timedelta(seconds=10)
_CHUNK = 256 * 1024
_LONGEST_WAIT = 7 * 24 * 3600.0
# The call cannot have reached the server.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class _Wait(RetryAfter):
    """`RetryAfter` without the warning that the library's own gives each time (22.8)."""

    __slots__ = ()

    def __init__(self, pause: timedelta) -> None:
        self._retry_after = pause
        TelegramError.__init__(self, f"wait {pause.total_seconds():.0f} s")


class _Request(HTTPXRequest):
    """HTTP that does not log what it cannot read: that may be people's messages."""

    __slots__ = ()

    async def do_request(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:  # noqa: ANN401
        code, payload = await super().do_request(*args, **kwargs)
        if code == httpx.codes.TOO_MANY_REQUESTS:
            pause = an_object(self.parse_json_payload(payload).get("parameters")).get("retry_after")
            if isinstance(pause, int | float):
                raise _Wait(timedelta(seconds=max(0.0, min(pause, _LONGEST_WAIT))))
        return code, payload

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        try:
            content = json.loads(payload.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            raise TelegramError("the answer is no JSON") from None
        if not isinstance(content, dict):
            raise TelegramError("the answer is no JSON object")
        return content


class BotApi:
    """One bot's connection to its server.  Open it with `async with`."""

    def __init__(self, config: TelegramConfig) -> None:
        self._config = config
        # One context for all: each would load the list of authorities again (some MiB, 30 ms).
        context = httpx.create_ssl_context()
        patience = config.patience.total_seconds()
        self._requests = tuple(
            _Request(
                connection_pool_size=size,
                connect_timeout=_CONNECT.total_seconds(),
                read_timeout=patience,
                write_timeout=patience,
                pool_timeout=patience,
                media_write_timeout=10 * patience,
                httpx_kwargs={"verify": context},
            )
            for size in (16, 1)
        )
        calls, polls = self._requests
        self.bot = telegram.Bot(
            config.token,
            base_url=config.base_url,
            base_file_url=config.base_file_url,
            request=calls,
            get_updates_request=polls,
            local_mode=config.is_local,
        )
        """The library's bot, for calls that have files in them.  Do not print it: the token."""
        self._files = httpx.AsyncClient(verify=context, timeout=patience, follow_redirects=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        for request in self._requests:
            await request.shutdown()
        await self._files.aclose()

    async def call(
        self,
        method: str,
        parameters: Mapping[str, object] | None = None,
        *,
        patience: timedelta | None = None,
    ) -> Any:  # noqa: ANN401 - JSON as it came
        """Call a method; its `result`.  Raises `CallFailed`, `CallRefused`.

        `patience` is how long the answer may take, beyond the settings' own.
        """
        # The library warns whenever it knows a method by this name; the server's name in its
        # snake case, capitals kept, is turned into the same and is not known.
        spelling = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", method)
        waiting = self._config.patience + (patience or timedelta(0))
        try:
            given = {key: _given(key, value) for key, value in (parameters or {}).items()}
            return await self.bot.do_api_request(
                spelling, given, read_timeout=waiting.total_seconds()
            )
        except TelegramError as error:
            raise _translated(method, error) from None
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            # JSON, but not `{"ok": …, "result": …}`: the library takes it for granted.
            raise _no_bot_api(method) from None

    @asynccontextmanager
    async def download(self, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The content of a file, in pieces, by the `file_path` that getFile gave.

        Raises `TransientError`, `PermanentError`.
        """
        base, token = self._config.base_file_url, self._config.token
        address = base.format(token=token) if "{token}" in base else base + token
        try:
            async with self._files.stream("GET", f"{address}/{quote(path)}") as answer:
                if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
                    raise TransientError(
                        f"Telegram could not give the file now (status {answer.status_code})"
                    )
                if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
                    raise TransientError("Telegram asks us to fetch files more slowly")
                if answer.status_code != httpx.codes.OK:
                    raise PermanentError(
                        "Telegram does not have the file any more"
                        f" (status {answer.status_code}): send it again."
                    )
                yield answer.aiter_bytes(_CHUNK)
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
            raise TransientError(
                f"The file could not be fetched from Telegram ({type(error).__name__})"
            ) from None


def _given(name: str, value: object) -> object:
    """A parameter as the library takes it; files are read while they are sent."""
    if name == "media" and isinstance(value, list):
        return [_item(**item) for item in value]
    if isinstance(value, Upload):
        return telegram.InputFile(value.content, value.name, read_file_handle=False)
    return value


def _item(
    type: str,  # noqa: A002 - the API's own word
    media: Upload,
    caption: str | None = None,
    caption_entities: Sequence[Mapping[str, Any]] = (),
) -> telegram.InputMedia:
    """One file of an album: the library wants its own objects there."""
    kind = telegram.InputMediaPhoto if type == "photo" else telegram.InputMediaDocument
    return kind(
        telegram.InputFile(media.content, media.name, attach=True, read_file_handle=False),
        caption=caption,
        caption_entities=[telegram.MessageEntity(**entity) for entity in caption_entities],
    )


def _no_bot_api(method: str) -> CallFailed:
    return CallFailed(
        f"{method}: what answered is no Bot API server", Trouble.ANSWER, is_unknown=True
    )


def _may_be_done(error: NetworkError) -> bool:
    """Whether the call may have taken effect: a refusal in JSON says that it did not.

    A proxy says less: it may have given up while the server went on (502, 504).
    """
    if error.__cause__ is None:
        return error.message.startswith(("Bad Gateway", "Gateway Time"))
    return not isinstance(error.__cause__, _UNSENT)


def _translated(method: str, error: TelegramError) -> CallFailed | CallRefused:  # noqa: PLR0911
    """Our error for one of the library's; the order matters, some are children of others."""
    match error:
        case RetryAfter():
            asked: timedelta = error._retry_after  # noqa: SLF001 - the public one warns
            pause = max(timedelta(0), min(asked, timedelta(seconds=_LONGEST_WAIT)))
            return CallFailed(
                f"{method}: Telegram asks us to wait {pause.total_seconds():.0f} s",
                Trouble.FLOOD,
                retry_after=pause,
            )
        case InvalidToken() | EndPointNotFound():
            return CallFailed(
                f"{method}: Telegram does not know the bot (401 or 404)", Trouble.TOKEN
            )
        case Conflict():
            trouble = Trouble.WEBHOOK if "webhook" in error.message.lower() else Trouble.CONFLICT
            return CallFailed(f"{method}: somebody else gets the bot's messages (409)", trouble)
        case ChatMigrated():
            refusal = CallRefused("the group has become a supergroup")
            refusal.new_chat_id = str(error.new_chat_id)
            return refusal
        case Forbidden():
            return CallRefused(error.message.removeprefix("Forbidden: "), is_forbidden=True)
        case BadRequest():
            return CallRefused(error.message)
        case NetworkError() if error.message.startswith("Request Entity Too Large"):
            return CallRefused(error.message)
        case NetworkError():
            cause = error.__cause__
            name = type(error if cause is None else cause).__name__
            return CallFailed(
                f"{method}: Telegram could not be reached or has trouble itself ({name})",
                Trouble.NETWORK,
                is_unknown=_may_be_done(error),
            )
        case _:
            return _no_bot_api(method)
