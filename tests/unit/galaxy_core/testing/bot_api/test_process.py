"""The server as a process: driven over HTTP, killed and started again."""

import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from galaxy_core.testing.bot_api.process import BotApiProcess, ask


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BotApiProcess]:
    """One for all tests: starting takes a second."""
    with BotApiProcess(tmp_path_factory.mktemp("state")) as process:
        yield process


def call(process: BotApiProcess, method: str, **arguments: object) -> Any:  # noqa: ANN401 - JSON
    """Call a method as a bot does."""
    return ask(f"{process.base_url}{process.token}/{method}", arguments)["result"]


def test_people_over_http(running: BotApiProcess) -> None:
    """What people do, what the bot sees, what it sends."""
    ann = running.person("Ann")
    group = running.group("Team", members=[ann.id])
    ann.do("writes", text="/hello", chat=group.id)
    ann.do("sends_document", name="a.txt", content=b"\0a")
    update, with_file = call(running, "getUpdates")
    assert update["message"]["chat"]["id"] == group.id
    file_id = with_file["message"]["document"]["file_id"]
    call(running, "sendDocument", chat_id=ann.id, document=file_id, caption="back")
    [seen] = running.sent(ann.id)
    assert (seen.text, seen.files[0].content) == ("back", b"\0a")
    group.do("kicks_bot", by=ann.id)
    assert "my_chat_member" in running.do("pending")[-1]


def test_trouble_over_http(running: BotApiProcess) -> None:
    """Faults and limits are planned; calls are read; the bot is changed."""
    running.do("plan", kind="flood", method="getMe", retry_after=9)
    with pytest.raises(ValueError, match="retry after 9"):
        call(running, "getMe")
    made = running.do("calls", method="getMe")[-1]
    assert (made["status"], made["fault"], made["took_effect"]) == (429, "flood", False)
    running.do("bot", has_topics_enabled=True)
    assert call(running, "getMe")["has_topics_enabled"]
    ann = running.person("Ann")
    running.do("limit", burst=1)
    call(running, "sendMessage", chat_id=ann.id, text="a")
    with pytest.raises(ValueError, match="Too Many Requests"):
        call(running, "sendMessage", chat_id=ann.id, text="a")
    assert running.do("refused") == 1
    running.do("limit")
    call(running, "sendMessage", chat_id=ann.id, text="a")


@pytest.mark.parametrize("path", ["server/explode", "server/stop", "robot/writes", "person/writes"])
def test_what_cannot_be_done_is_said(running: BotApiProcess, path: str) -> None:
    """A test that mistypes learns it."""
    with pytest.raises(ValueError, match="error"):
        ask(f"{running.address}/control/{path}", {})


def test_a_killed_server_knows_everything(running: BotApiProcess) -> None:
    """Port, messages, updates and calls are those of before."""
    bob = running.person("Bob")
    call(running, "sendMessage", chat_id=bob.id, text="kept")
    bob.do("writes", text="waiting")
    address, pending = running.address, running.do("pending")
    running.kill()
    with pytest.raises(urllib.error.URLError):
        call(running, "getMe")
    running.start()
    assert running.address == address
    assert [seen.text for seen in running.sent(bob.id)] == ["kept"]
    assert running.do("pending") == pending
    bob.do("writes", text="more")
    assert call(running, "getUpdates", offset=-1)[0]["message"]["text"] == "more"


def test_without_state_it_begins_anew(tmp_path: Path) -> None:
    """Nothing is written unless it is wanted."""
    with BotApiProcess(tmp_path, keeps_state=False) as process:
        process.person("Ann").do("writes", text="forgotten")
        process.kill()
        process.start()
        assert process.do("pending") == []
    assert list(tmp_path.iterdir()) == []
