"""The way in of the Telegram channel, on the local Bot API server."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import anyio
import pytest
from attrs import evolve

from galaxy_adapters.channel_telegram._api import BotApi
from galaxy_adapters.channel_telegram._errors import CallFailed, Trouble
from galaxy_adapters.channel_telegram._files import Fetcher
from galaxy_adapters.channel_telegram._receiving import Receiving
from galaxy_core.domain.errors import PermanentError, TransientError
from galaxy_core.domain.message import (
    ButtonPressed,
    FileKind,
    Origin,
    RemoteFile,
)
from galaxy_core.testing.bot_api import BotApiServer, Fault
from tests.integration.telegram_gateway import SOON, Gateway, get, message, nothing


@pytest.fixture
async def server() -> AsyncIterator[BotApiServer]:
    """A server with nobody on it."""
    async with BotApiServer() as server:
        yield server


@pytest.fixture
def gateway(server: BotApiServer) -> Gateway:
    """What asks that server."""
    return Gateway(server)


async def test_message(gateway: Gateway, server: BotApiServer) -> None:
    """A text comes with all that says who wrote what where."""
    ann = server.person("Ann")
    async with gateway.process() as receiving:
        ann.writes("hello")
        got = await message(receiving)
    assert (got.text, got.chat_id, got.sender_id) == ("hello", str(ann.id), str(ann.id))
    assert got.sender_name == "Ann"
    assert got.key.startswith("telegram:7000000001:")
    assert got.origin is Origin.PERSON
    assert got.is_addressed
    assert not got.is_group


async def test_prompt(gateway: Gateway, server: BotApiServer) -> None:
    """An ordinary text waits for no window."""
    ann = server.person("Ann")
    async with gateway.process() as receiving:
        ann.writes("first")
        await message(receiving)
        started = anyio.current_time()
        ann.writes("second")
        await message(receiving)
        assert anyio.current_time() - started < 0.5


async def test_offset(gateway: Gateway, server: BotApiServer) -> None:
    """Telegram forgets what is stored, though nobody has dealt with it yet."""
    ann = server.person("Ann")
    async with gateway.process() as receiving:
        ann.writes("hello")
        await message(receiving)
        await server.until(lambda: not server.pending())


async def test_again_after_restart(gateway: Gateway, server: BotApiServer) -> None:
    """What was not confirmed comes again under its key; what was does not."""
    ann = server.person("Ann")
    async with gateway.process() as receiving:
        ann.writes("one")
        one = await message(receiving)
        await receiving.confirm(one)
        ann.writes("two")
        two = await message(receiving)
    async with gateway.process() as receiving:
        assert await message(receiving) == two
        assert await nothing(receiving)


async def test_redelivery(gateway: Gateway, server: BotApiServer) -> None:
    """What Telegram gives again is noticed, also after a restart."""
    ann = server.person("Ann")
    async with gateway.process() as receiving:
        for text in ("one", "two"):
            ann.writes(text)
            await receiving.confirm(await message(receiving))
        await server.until(lambda: not server.pending())
    server.redeliver(10)
    async with gateway.process() as receiving:
        await server.until(lambda: not server.pending())
        ann.writes("three")
        assert (await message(receiving)).text == "three"


async def test_command_in_group(gateway: Gateway, server: BotApiServer) -> None:
    """A command to this bot is for it, with its name taken off."""
    ann = server.person("Ann")
    team = server.group("Team", ann)
    async with gateway.process() as receiving:
        ann.writes("/status@galaxy_test_bot now", chat=team)
        got = await message(receiving)
    assert got.text == "/status now"
    assert got.is_group
    assert got.is_addressed


async def test_topic(gateway: Gateway, server: BotApiServer) -> None:
    """A message of a topic says which, and is no answer to whoever opened the topic."""
    ann = server.person("Ann")
    forum = server.group("Forum", ann, is_forum=True, bot_status="administrator")
    async with gateway.process() as receiving:
        thread = ann.opens_topic("Backend", chat=forum)
        ann.writes("hello", chat=forum, thread=thread)
        got = await message(receiving)
    assert (got.topic, got.reply_to) == (str(thread), None)
    assert not got.is_addressed


async def test_anonymous(gateway: Gateway, server: BotApiServer) -> None:
    """Nobody knows who writes in the name of a group or a channel."""
    ann = server.person("Ann")
    team = server.group("Team", ann, bot_status="administrator")
    news = server.channel("News")
    async with gateway.process() as receiving:
        team.writes_anonymously("/status")
        team.writes_as_channel(news, "/status")
        team.copies_post(news, "/status")
        origins = [(await message(receiving)).origin for _ in range(3)]
    assert origins == [Origin.ANONYMOUS_ADMIN, Origin.CHANNEL_POST, Origin.CHANNEL_POST]


async def test_press(gateway: Gateway, server: BotApiServer) -> None:
    """A button comes with what it carries, and where it was."""
    ann = server.person("Ann")
    async with gateway.process() as receiving, BotApi(gateway.config) as api:
        keyboard = {"inline_keyboard": [[{"text": "Yes", "callback_data": "a:1:0"}]]}
        sent = await api.call(
            "sendMessage", {"chat_id": ann.id, "text": "Sure?", "reply_markup": keyboard}
        )
        press = ann.presses(sent["message_id"], "Yes")
        got = await get(receiving)
    assert isinstance(got, ButtonPressed)
    assert (got.data, got.press_id) == ("a:1:0", press)
    assert got.message_id == str(sent["message_id"])
    assert got.sender_id == str(ann.id)


async def test_edit(gateway: Gateway, server: BotApiServer) -> None:
    """A changed message is no new one, and says so."""
    ann = server.person("Ann")
    async with gateway.process() as receiving:
        first = ann.writes("helo")
        original = await message(receiving)
        ann.edits(first, "hello")
        edit = await message(receiving)
    assert (edit.text, edit.is_edit, original.is_edit) == ("hello", True, False)
    assert edit.message_id == original.message_id
    assert edit.key != original.key


async def test_paste(gateway: Gateway, server: BotApiServer) -> None:
    """A long paste is one message again, under the key of its first part."""
    ann = server.person("Ann")
    text = "\n".join(f"line {n} of a log that somebody pastes" for n in range(300))
    async with gateway.process() as receiving:
        parts = ann.pastes(text)
        got = await message(receiving)
        await receiving.confirm(got)
        assert await nothing(receiving)
    assert len(parts) > 2
    assert got.text == text
    async with gateway.process() as receiving:
        assert await nothing(receiving)


async def test_album(gateway: Gateway, server: BotApiServer) -> None:
    """An album is one message with all its files and the caption."""
    ann = server.person("Ann")
    album = [("photo", f"{n}.jpg", b"\xff\xd8\xff" + bytes([n])) for n in range(3)]
    async with gateway.process() as receiving:
        ann.sends_album(album, "what is this?")
        got = await message(receiving)
    assert got.text == "what is this?"
    assert [file.kind for file in got.files] == [FileKind.PHOTO] * 3


async def test_comment_and_forward(gateway: Gateway, server: BotApiServer) -> None:
    """A comment and what is forwarded with it are one message; the forward is quoted."""
    ann = server.person("Ann")
    async with gateway.process() as receiving:
        ann.forwards("rm -rf /", comment="is this dangerous?")
        got = await message(receiving)
    assert got.text == "is this dangerous?"
    assert [(quote.text, quote.author) for quote in got.quotes] == [("rm -rf /", "Somebody")]


async def test_late_forward(gateway: Gateway, server: BotApiServer) -> None:
    """A forward that Telegram gives only to the next question still joins its comment."""
    ann = server.person("Ann")
    async with gateway.process() as receiving:
        await server.until(lambda: server.updates.is_waiting)
        ann.writes("is this dangerous?")
        await server.until(lambda: not server.updates.is_waiting)
        ann.forwards("rm -rf /")
        got = await message(receiving)
    assert (got.text, len(got.quotes)) == ("is this dangerous?", 1)


async def test_separate_messages(gateway: Gateway, server: BotApiServer) -> None:
    """Quick separate messages stay separate."""
    ann = server.person("Ann")
    async with gateway.process() as receiving:
        for text in ("one", "two", "three"):
            ann.writes(text)
        assert [(await message(receiving)).text for _ in range(3)] == ["one", "two", "three"]


async def test_poison(gateway: Gateway, server: BotApiServer) -> None:
    """An update that cannot be read is set aside and reported, and blocks nothing."""
    ann = server.person("Ann")
    async with gateway.process() as receiving:
        server.push_update("message", {"message_id": 5, "text": "no chat"})
        server.push_update("message", {"message_id": "?", "chat": {"id": "?"}, "date": -1})
        ann.writes("hello")
        assert (await message(receiving)).text == "hello"
    assert gateway.incidents.kinds == ["update_set_aside"] * 2
    bad = gateway.box.kinds["telegram:7000000001:bad"]
    assert all("no chat" in str(kept.text) for kept in bad.values())
    async with gateway.process() as receiving:
        assert (await message(receiving)).text == "hello"


@pytest.mark.parametrize("kind", ["error", "html", "cut_before", "cut_after", "cut_body"])
async def test_trouble(gateway: Gateway, server: BotApiServer, kind: str) -> None:
    """After a failed question the next one brings everything, once."""
    server.plan(Fault(kind, method="getUpdates", times=2))
    ann = server.person("Ann")
    async with gateway.process() as receiving:
        ann.writes("hello")
        assert (await message(receiving)).text == "hello"
        assert await nothing(receiving)
    assert not gateway.incidents.incidents


async def test_wrong_token(gateway: Gateway, server: BotApiServer) -> None:
    """A refused token is an alarm that says what to do, and never the token."""
    server.plan(Fault("unauthorized", method="getUpdates", times=None))
    async with gateway.process():
        with anyio.fail_after(SOON):
            await gateway.incidents.reported.wait()
    (incident,) = gateway.incidents.incidents
    assert incident.kind == "channel_unhealthy"
    assert incident.is_for_people
    assert "BotFather" in incident.message
    assert server.token not in repr(incident)


async def test_webhook_left_behind(gateway: Gateway, server: BotApiServer) -> None:
    """A webhook from before is removed, and what waited is not dropped."""
    ann = server.person("Ann")
    async with BotApi(gateway.config) as api:
        await api.call("setWebhook", {"url": "https://example.invalid/hook"})
        ann.writes("hello")
        async with gateway.process() as receiving:
            assert (await message(receiving)).text == "hello"


async def test_conflict_is_told_apart(gateway: Gateway, server: BotApiServer) -> None:
    """401, 409 and an unreachable server are different troubles, none of which shows the token."""
    found = []
    async with BotApi(gateway.config) as api:
        for kind in ("conflict", "unauthorized", "not_found", "html", "cut_before", "flood"):
            server.plan(Fault(kind, method="getMe", retry_after=7))
            with pytest.raises(CallFailed) as caught:
                await api.call("getMe")
            found.append((caught.value.trouble, caught.value.retry_after))
            assert server.token not in repr(caught.getrepr(style="long"))
        await server.stop()
        with pytest.raises(CallFailed) as caught:
            await api.call("getMe")
    assert found == [
        (Trouble.CONFLICT, None),
        (Trouble.TOKEN, None),
        (Trouble.TOKEN, None),
        (Trouble.NETWORK, None),
        (Trouble.NETWORK, None),
        (Trouble.FLOOD, timedelta(seconds=7)),
    ]
    assert caught.value.trouble is Trouble.NETWORK
    assert not caught.value.is_unknown


# ---- files


async def sent_file(receiving: Receiving) -> RemoteFile:
    """The one file of the next message."""
    got = await message(receiving)
    (file,) = got.files
    return file


async def test_fetch(gateway: Gateway, server: BotApiServer, tmp_path: Path) -> None:
    """A file is stored whole under the name that it is given, and again for the asking."""
    ann = server.person("Ann")
    content = bytes(range(256)) * 4096
    target = tmp_path / "order" / "in" / "report.pdf"
    async with gateway.process() as receiving, BotApi(gateway.config) as api:
        ann.sends_document("report.pdf", content, "read this")
        file = await sent_file(receiving)
        fetcher = Fetcher(api, is_local=False)
        await fetcher.fetch(file, target)
        await fetcher.fetch(file, target)
    assert (file.name, file.size) == ("report.pdf", len(content))
    assert target.read_bytes() == content
    assert [path.name for path in target.parent.iterdir()] == ["report.pdf"]


async def test_too_large(gateway: Gateway, server: BotApiServer, tmp_path: Path) -> None:
    """A file beyond Telegram's limit is refused before it is asked for, in words for people."""
    ann = server.person("Ann")
    async with gateway.process() as receiving, BotApi(gateway.config) as api:
        ann.sends("video", "film.mp4", b"x", size=34 << 20)
        file = await sent_file(receiving)
        with pytest.raises(PermanentError, match=r"34 MB.*up to 20 MB"):
            await Fetcher(api, is_local=False).fetch(file, tmp_path / "film.mp4")
    assert not server.calls("getFile")
    assert not list(tmp_path.iterdir())


async def test_larger_than_told(gateway: Gateway, server: BotApiServer, tmp_path: Path) -> None:
    """The limit of the settings holds also where Telegram did not tell the size before."""
    ann = server.person("Ann")
    async with gateway.process() as receiving, BotApi(gateway.config) as api:
        ann.sends_document("report.pdf", bytes(1001))
        file = evolve(await sent_file(receiving), size=None)
        with pytest.raises(PermanentError, match="is too large"):
            await Fetcher(api, is_local=False, limit=1000).fetch(file, tmp_path / "report.pdf")
        assert not list(tmp_path.iterdir())
        await Fetcher(api, is_local=False, limit=1001).fetch(file, tmp_path / "report.pdf")


async def test_unknown_file(gateway: Gateway, server: BotApiServer, tmp_path: Path) -> None:
    """A file that Telegram does not have any more can never be had; an outage passes."""
    file = RemoteFile(id="nothing", kind=FileKind.DOCUMENT, name="a.txt")
    async with BotApi(gateway.config) as api:
        fetcher = Fetcher(api, is_local=False)
        with pytest.raises(PermanentError, match="send it again"):
            await fetcher.fetch(file, tmp_path / "a.txt")
        await server.stop()
        with pytest.raises(TransientError):
            await fetcher.fetch(file, tmp_path / "a.txt")
    assert not (tmp_path / "a.txt").exists()
