"""What goes to a transcription service, and what becomes of its answers."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest

from galaxy_adapters.transcribe_openai import OpenAITranscriber, TranscriptionService
from galaxy_core.domain.errors import PermanentError, TransientError
from galaxy_core.testing.http import Response
from tests.transcription_service import TranscriptionServer, transcription_server

KEY = "sk-never-shown-0123456789"


@pytest.fixture
async def server() -> AsyncIterator[TranscriptionServer]:
    """Give a server that is up."""
    async with transcription_server() as running:
        yield running


@pytest.fixture
async def transcriber(server: TranscriptionServer) -> AsyncIterator[OpenAITranscriber]:
    """Give a client of it, with a key and a language."""
    service = TranscriptionService(url=server.url, model="whisper-1", api_key=KEY, language="de")
    transcriber = OpenAITranscriber(service)
    yield transcriber
    await transcriber.aclose()


def recording(folder: Path, name: str = "voice.oga") -> Path:
    """Make a recording."""
    path = folder / name
    path.write_bytes(b"Hallo")
    return path


async def test_what_is_sent(
    server: TranscriptionServer, transcriber: OpenAITranscriber, tmp_path: Path
) -> None:
    """OpenAI's form: the file under a name of ours, model, language, and the key in the header."""
    path = recording(tmp_path, "my secret diary.oga")
    assert await transcriber.transcribe(path, "audio/ogg") == "Hallo"
    (call,) = server.calls
    assert call.path == "/v1/audio/transcriptions"
    assert call.authorization == f"Bearer {KEY}"
    assert call.form == {"model": "whisper-1", "response_format": "json", "language": "de"}
    assert (call.file_name, call.mime) == ("recording.oga", "audio/ogg")
    assert call.content == b"Hallo"


@pytest.mark.parametrize(
    "name, mime, sent",
    [
        ("a.MP3", None, "recording.mp3"),
        ("a", "audio/mpeg", "recording.mp3"),
        ("a.bin", "audio/x-m4a; codecs=x", "recording.m4a"),
        ("a", None, "recording.ogg"),
    ],
)
async def test_services_tell_the_format_by_the_ending(
    server: TranscriptionServer,
    transcriber: OpenAITranscriber,
    tmp_path: Path,
    name: str,
    mime: str | None,
    sent: str,
) -> None:
    """A file without an ending gets that of its type; Telegram's voices are Ogg."""
    await transcriber.transcribe(recording(tmp_path, name), mime)
    assert server.calls[0].file_name == sent


@pytest.mark.parametrize(
    "status, sentence",
    [
        (400, r"it cannot do anything with the recording \(HTTP 400\)"),
        (401, "it refuses the key: check `transcription.api_key`"),
        (404, "it knows no such address or model"),
        (413, "the recording is too long"),
    ],
)
async def test_refusals_are_told(
    server: TranscriptionServer,
    transcriber: OpenAITranscriber,
    tmp_path: Path,
    status: int,
    sentence: str,
) -> None:
    """The person learns what to do; nothing of the service's own words comes along."""
    server.answer = Response.of({"error": {"message": f"Incorrect API key: {KEY}"}}, status)
    with pytest.raises(PermanentError, match=sentence) as raised:
        await transcriber.transcribe(recording(tmp_path))
    assert KEY not in repr(raised.value)


@pytest.mark.parametrize(
    "header, expected",
    [("7", timedelta(seconds=7)), ("soon", None), ("", None), ("nan", None), ("-3", None)],
)
async def test_trouble_passes_and_names_its_time(
    server: TranscriptionServer,
    transcriber: OpenAITranscriber,
    tmp_path: Path,
    header: str,
    expected: timedelta | None,
) -> None:
    """What the service says about when to come back is handed on."""
    server.answer = Response(429, b"{}", headers={"retry-after": header})
    with pytest.raises(TransientError, match="HTTP 429") as raised:
        await transcriber.transcribe(recording(tmp_path))
    assert raised.value.retry_after == expected


async def test_a_date_is_a_time_too(
    server: TranscriptionServer, transcriber: OpenAITranscriber, tmp_path: Path
) -> None:
    """The header has two forms."""
    moment = datetime.now(UTC) + timedelta(minutes=2)
    server.answer = Response(503, b"", headers={"retry-after": format_datetime(moment)})
    with pytest.raises(TransientError) as raised:
        await transcriber.transcribe(recording(tmp_path))
    assert raised.value.retry_after is not None
    assert timedelta(minutes=1) < raised.value.retry_after <= timedelta(minutes=2)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"text": 5}', b"{}", b"[" * 100_000])
async def test_an_answer_that_is_none(
    server: TranscriptionServer, transcriber: OpenAITranscriber, tmp_path: Path, body: bytes
) -> None:
    """A wrong address often answers 200 with a page of its own."""
    server.answer = Response(200, body)
    with pytest.raises(PermanentError, match=r"check `transcription\.url`"):
        await transcriber.transcribe(recording(tmp_path))


async def test_a_redirection_is_not_followed(
    server: TranscriptionServer, transcriber: OpenAITranscriber, tmp_path: Path
) -> None:
    """Recording and key go where the settings say, and nowhere else."""
    server.answer = Response(302, b"", headers={"location": f"{server.url}/elsewhere"})
    with pytest.raises(PermanentError, match="HTTP 302"):
        await transcriber.transcribe(recording(tmp_path))
    assert len(server.calls) == 1


async def test_a_connection_that_breaks_passes(
    server: TranscriptionServer, transcriber: OpenAITranscriber, tmp_path: Path
) -> None:
    """Asking again costs nothing: a transcription changes nothing on the other side."""
    server.is_mute = True
    with pytest.raises(TransientError, match="cannot be reached") as raised:
        await transcriber.transcribe(recording(tmp_path))
    assert raised.value.__suppress_context__


async def test_a_slow_service_passes(tmp_path: Path) -> None:
    """A service that is too slow now may be quicker later."""

    def wait(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout(KEY, request=request)

    service = TranscriptionService(url="http://127.0.0.1:1", model="m", api_key=KEY)
    transcriber = OpenAITranscriber(service, transport=httpx.MockTransport(wait))
    with pytest.raises(TransientError, match="does not answer in time") as raised:
        await transcriber.transcribe(recording(tmp_path))
    assert KEY not in repr(raised.value)
    await transcriber.aclose()


async def test_a_recording_that_is_too_large_is_not_sent(
    server: TranscriptionServer, transcriber: OpenAITranscriber, tmp_path: Path
) -> None:
    """The limit is told before 25 MB went over the network in vain."""
    path = tmp_path / "long.ogg"
    with path.open("wb") as file:
        file.truncate(25_100_001)
    with pytest.raises(PermanentError, match=r"25\.1 MB; at most 25 MB"):
        await transcriber.transcribe(path)
    assert server.calls == []


def test_the_key_does_not_show() -> None:
    """Neither in a log of the settings nor of the client."""
    service = TranscriptionService(url="http://127.0.0.1:1", model="m", api_key=KEY)
    assert KEY not in repr(service)
