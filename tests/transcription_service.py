"""A local server with OpenAI's transcription endpoint: a recording "says" what its bytes spell."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from attrs import define, field, frozen

from galaxy_core.testing.http import Request, Response, read_request


@frozen
class Heard:
    """One call."""

    path: str
    authorization: str | None
    form: dict[str, str]
    file_name: str | None
    mime: str
    content: bytes


@define
class TranscriptionServer:
    """Listens on the loopback address."""

    port: int = 0
    calls: list[Heard] = field(factory=list)
    answer: Response | None = None
    """What it says instead."""
    is_mute: bool = False
    """Whether it hangs up instead of answering."""

    @property
    def url(self) -> str:
        """For the settings."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        with suppress(ConnectionError):
            while (request := await read_request(reader)) is not None and not self.is_mute:
                heard = _heard(request)
                self.calls.append(heard)
                said = heard.content.decode("utf-8", "replace")
                writer.write((self.answer or Response.of({"text": said})).encoded())
                await writer.drain()
        writer.close()


def _heard(request: Request) -> Heard:
    head = f"content-type: {request.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + request.body, policy=email.policy.HTTP)
    form: dict[str, str] = {}
    name, mime, content = None, "", b""
    for part in message.iter_parts():
        data = part.get_payload(decode=True)
        assert isinstance(data, bytes)
        if part.get_filename() is None:
            form[str(part.get_param("name", header="content-disposition"))] = data.decode()
        else:
            name, mime, content = part.get_filename(), part.get_content_type(), data
    return Heard(request.path, request.headers.get("authorization"), form, name, mime, content)


@asynccontextmanager
async def transcription_server() -> AsyncIterator[TranscriptionServer]:
    """Run one."""
    server = TranscriptionServer()
    listening = await asyncio.start_server(server.connected, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
