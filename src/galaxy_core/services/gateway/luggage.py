"""What comes with a message: files are fetched beside the order, spoken words become text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import define, frozen

from galaxy_core.domain.errors import PermanentError
from galaxy_core.domain.message import FileKind, InboundMessage, Quote
from galaxy_core.domain.order import Attachment
from galaxy_core.ports.channel import Channel
from galaxy_core.ports.transcriber import Transcriber
from galaxy_core.services.gateway.composing import safe_file_name

NO_TRANSCRIBER = (
    "I cannot listen to voice messages yet: set `transcription.url` (any service with OpenAI's "
    "interface, a local one too) in the settings, or type it."
)

VOICE = "a voice message"


@frozen(kw_only=True)
class Unpacked:
    """What came with a message, on our side."""

    media: tuple[Attachment, ...] = ()
    spoken: str = ""
    """What the person said in their voice messages."""
    quotes: tuple[Quote, ...] = ()
    """What others said in voice messages that the person passes on."""


@define
class Luggage:
    """Fetches; safe twice, to the same places."""

    _channels: Mapping[str, Channel]
    _transcriber: Transcriber | None

    async def unpack(self, message: InboundMessage, folder: Path) -> Unpacked:
        """Fetch the message's files into `folder`.

        Raises `TransientError`, `PermanentError` with a sentence for the sender.
        """
        media: list[Attachment] = []
        spoken: list[str] = []
        quotes: list[Quote] = []
        for number, file in enumerate(message.files, 1):
            if file.kind is FileKind.VOICE and self._transcriber is None:
                raise PermanentError(NO_TRANSCRIBER)
            target = folder / safe_file_name(file.name, number=number, fallback=file.kind.value)
            await self._channels[message.channel].fetch(file, target)
            if file.kind is FileKind.VOICE and self._transcriber is not None:
                words = (await self._transcriber.transcribe(target, file.mime)).strip()
                if not words:
                    raise PermanentError("I could not hear any words in this: please say it again.")
                if file.is_passed_on:
                    quotes.append(Quote(text=words, author=VOICE))
                else:
                    spoken.append(words)
            else:
                media.append(Attachment(path=str(target), name=file.name, mime=file.mime))
        return Unpacked(media=tuple(media), spoken="\n\n".join(spoken), quotes=tuple(quotes))
