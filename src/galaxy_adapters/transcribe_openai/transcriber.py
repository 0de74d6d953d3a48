"""`POST <url>/audio/transcriptions`: OpenAI's form, which most services and local servers speak.

The recording is read while it is sent.  What the service says in an error is never passed on: some
of them repeat the key.
"""

from __future__ import annotations

import email.utils
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import httpx
from attrs import field, frozen

from galaxy_core.domain.errors import GalaxyError, PermanentError, TransientError
from galaxy_core.ports.transcriber import Transcriber

__all__ = ["OpenAITranscriber", "TranscriptionService"]

MAX_BYTES = 25_000_000
"""OpenAI's own limit (25 MB); others take no less."""
_MAX_ANSWER = 4_000_000
"""Bytes: hours of speech are some hundred thousand characters."""
_CONNECT_SECONDS = 5.0
_READ_SECONDS = 180.0
"""A small machine takes about as long as the recording lasts."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

_ENDINGS = frozenset(
    {"flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "opus", "wav", "webm"}
)
"""What services tell the format by."""
_ENDING_OF = {
    "audio/ogg": "ogg",
    "audio/opus": "ogg",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/mp4": "m4a",
    "audio/x-m4a": "m4a",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/flac": "flac",
    "audio/webm": "webm",
    "video/mp4": "mp4",
}


@frozen(kw_only=True)
class TranscriptionService:
    """Where the service is, and what to ask it for."""

    url: str
    """Up to where `/audio/transcriptions` follows."""
    model: str
    api_key: str | None = field(default=None, repr=False)
    language: str | None = None
    """None: the service finds out."""


class OpenAITranscriber(Transcriber):
    """Sends recordings to one service; safe to be used by many tasks at once."""

    def __init__(
        self, service: TranscriptionService, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._service = service
        self._address = f"{service.url.rstrip('/')}/audio/transcriptions"
        key = service.api_key
        self._http = httpx.AsyncClient(
            headers={"authorization": f"Bearer {key}"} if key else {},
            # A proxy for the internet must not see calls that stay on this machine.
            trust_env=httpx.URL(service.url).host not in _LOOPBACK,
            transport=transport,
            timeout=httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS),
        )

    async def transcribe(self, recording: Path, mime: str | None = None) -> str:
        form = {"model": self._service.model, "response_format": "json"}
        if self._service.language is not None:
            form["language"] = self._service.language
        # The person's own name for the file is nobody's business.
        name = f"recording.{_ending(recording, mime)}"
        with _opened(recording) as content:
            files = {"file": (name, content, mime or "application/octet-stream")}
            try:
                async with self._http.stream(
                    "POST", self._address, data=form, files=files
                ) as answer:
                    if not answer.is_success:
                        raise _refusal(answer)
                    body = await _read(answer)
            # httpx's errors hold the request, headers and all: none of them is quoted.
            except httpx.TimeoutException:
                sentence = "The transcription service does not answer in time."
                raise TransientError(sentence) from None
            except (httpx.HTTPError, httpx.StreamError) as error:
                sentence = f"The transcription service cannot be reached ({type(error).__name__})."
                raise TransientError(sentence) from None
        return _text(body)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._http.aclose()


def _opened(recording: Path) -> BinaryIO:
    """The file; raises `PermanentError` when it is gone or too large."""
    try:
        size = recording.stat().st_size
        content = recording.open("rb")
    except OSError as error:
        raise PermanentError("The recording is not there any more: send it again.") from error
    if size > MAX_BYTES:
        content.close()
        raise PermanentError(
            f"The recording has {size / 1e6:.1f} MB; at most {MAX_BYTES // 1_000_000} MB "
            "can be turned into text. Send it in shorter pieces."
        )
    return content


def _ending(recording: Path, mime: str | None) -> str:
    ending = recording.suffix.lower().lstrip(".")
    if ending in _ENDINGS:
        return ending
    return _ENDING_OF.get((mime or "").partition(";")[0].strip().lower(), "ogg")


async def _read(answer: httpx.Response) -> bytes:
    body = bytearray()
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > _MAX_ANSWER:
            break
    return bytes(body)


def _text(body: bytes) -> str:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    text = answer.get("text") if isinstance(answer, dict) else None
    if not isinstance(text, str):
        raise PermanentError(
            "The transcription service answers with something that is no transcription: check "
            "`transcription.url` in the settings."
        )
    return text.strip()


_REFUSALS = {
    401: "it refuses the key: check `transcription.api_key` in the settings",
    403: "it refuses the key: check `transcription.api_key` in the settings",
    404: "it knows no such address or model: check `transcription.url` and `transcription.model`",
    413: "the recording is too long for it: send it in shorter pieces",
}
_PASSING = frozenset({408, 409, 425, 429})
_SERVER_ERROR = 500
_NOT_IMPLEMENTED = 501
_LONGEST_WAIT_SECONDS = 86_400


def _refusal(answer: httpx.Response) -> GalaxyError:
    status = answer.status_code
    if status in _PASSING or (status >= _SERVER_ERROR and status != _NOT_IMPLEMENTED):
        return TransientError(
            f"The transcription service is busy or in trouble (HTTP {status}).",
            retry_after=_retry_after(answer.headers.get("retry-after", "")),
        )
    why = _REFUSALS.get(status, f"it cannot do anything with the recording (HTTP {status})")
    return PermanentError(f"The transcription service refuses: {why}.")


def _retry_after(text: str) -> timedelta | None:
    """The header's seconds or date; None for what is neither."""
    if text.isascii() and text.isdecimal():
        return timedelta(seconds=min(int(text), _LONGEST_WAIT_SECONDS))
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(timedelta(0), aware - datetime.now(UTC))
