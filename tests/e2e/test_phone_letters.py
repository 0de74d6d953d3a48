"""What comes out of the outbox, who gets it, and what happens to people while nobody is there."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import anyio.from_thread
import pytest

from galaxy_core.testing.bot_api.process import BotApiProcess, Remote
from tests.e2e.machine import command_of, eventually
from tests.e2e.phone import Site
from tests.transcription_service import transcription_server


class Family:
    """A site with three people of its own."""

    def __init__(self, site: Site, people: list[Remote]) -> None:
        self.site = site
        self.telegram = site.telegram
        self.ann, self.bob, self.eve = self.people = people


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Family]:
    """Give a site where spoken words are heard too."""
    folder = tmp_path_factory.mktemp("family")
    with (
        BotApiProcess(folder, keeps_state=False) as telegram,
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(transcription_server()) as ears,
    ):
        people = [telegram.person(name) for name in ("Ann", "Bob", "Eve")]
        site = Site(
            folder,
            telegram,
            {
                "authorized_users": [person.id or 0 for person in people],
                "roles": {str(people[2].id): "viewer"},
                "transcription": {"url": ears.url},
            },
        )
        try:
            site.start_gateway("--log-level", "DEBUG")
            site.start_hermes()
            yield Family(site, people)
        finally:
            site.stop_all()


def test_a_letter_of_an_agent_is_html(family: Family) -> None:
    """As of old; what is no HTML is text, and none of it is lost."""
    chat = str(family.ann.id)
    letter = {"chat_id": chat, "channel": "telegram", "from": "Agent", "severity": "info"}
    family.site.say("whole", message="<b>Build</b> is <code>green</code> &amp; done", **letter)
    seen = family.site.wait_for(family.ann, "Build is green & done")
    assert "Build" in seen.marked("bold")
    assert seen.marked("code") == ["green"]
    family.site.say("broken", message="if a < b and <b>open <i>wrong</b> then Vec<T> &c", **letter)
    seen = family.site.wait_for(family.ann, "if a < b")
    assert "Vec<T>" in seen.text


def test_a_letter_without_a_chat_is_for_everybody(family: Family) -> None:
    """Everybody who is authorised gets it once."""
    family.site.say("all", message="Lunch is ready")
    for person in family.people:
        family.site.wait_for(person, "Lunch is ready")
    eventually(lambda: not (family.site.layout.outbox / "all.json").exists(), "it is put away")
    assert [len(family.site.answers(p, "Lunch")) for p in family.people] == [1, 1, 1]
    sent = family.site.layout.outbox_archive.glob("all*.json")
    assert [json.loads(path.read_bytes())["sent"] for path in sent] == [True]


def test_a_voice_message_is_an_order(family: Family) -> None:
    """What was said is the text of the order."""
    family.ann.do("sends_voice", content=b"water the roses")
    family.site.wait_for(family.ann, "]: water the roses")


def test_a_letter_that_nobody_can_get_is_kept(family: Family) -> None:
    """Who blocks the bot gets nothing; the owners hear of it, and the letter is kept."""
    family.bob.do("blocks")
    family.site.say("lost", message="For Bob alone", chat_id=str(family.bob.id), channel="telegram")
    alert = family.site.wait_for(family.ann, "cannot be reached any more")
    assert str(family.bob.id) in alert.text
    kept = family.site.layout.outbox_undeliverable / "lost.json"
    eventually(kept.exists, "the letter is kept")
    assert json.loads(kept.read_bytes())["message"] == "For Bob alone"
    assert family.site.answers(family.eve, "cannot be reached") == []
    family.bob.do("unblocks")


def test_what_was_said_while_nobody_was_there(family: Family) -> None:
    """After a crash what is young runs, what is older is asked about; it is all there."""
    ann, site = family.ann, family.site
    pid = int(site.layout.gateway_lock.read_text("ascii"))
    os.kill(pid, signal.SIGKILL)
    ann.do("writes", text="just now")
    ann.do("writes", text="long ago", extra={"date": int(time.time()) - 3600})
    eventually(lambda: site.has_ended(pid), "the gateway is dead")
    site.start_gateway("--log-level", "DEBUG")
    site.wait_for(ann, "]: just now")
    asked = site.wait_for(ann, "long ago")
    assert "Run it?" in asked.text
    # A button that was shown before a crash works after it.
    pid = int(site.layout.gateway_lock.read_text("ascii"))
    os.kill(pid, signal.SIGKILL)
    ann.do("presses", message=asked.message_id, button="Run it")
    eventually(lambda: site.has_ended(pid), "the gateway is dead")
    site.start_gateway("--log-level", "DEBUG")
    site.wait_for(ann, "]: long ago")
    assert len(site.answers(ann, "]: just now")) == 1


TROUBLE = (
    {"kind": "cut_body", "method": "getUpdates"},
    {"kind": "html", "method": "getFile"},
    {"kind": "error", "method": "sendMessage"},
    {"kind": "cut_after", "method": "sendMessage"},
    {"kind": "html_after", "method": "sendMessage"},
    {"kind": "unauthorized", "method": "sendMessage"},
)


def test_the_token_is_nowhere(family: Family) -> None:
    """After all of the above and some failures of each kind it is in the settings alone."""
    site, telegram = family.site, family.telegram
    for fault in TROUBLE:
        telegram.do("plan", **fault)
    family.eve.do("writes", text="/whoami")
    family.ann.do("sends_document", name="notes.txt", content=b"some notes", caption="in trouble")
    site.wait_for(family.ann, "in trouble")
    for kind in ("unauthorized", "not_found"):  # after which Telegram is left alone for a minute
        telegram.do("plan", kind=kind, method="getUpdates")
    family.eve.do("writes", text="/whoami")
    eventually(lambda: '"trouble": "token"' in site.logs(), "the refusal is in the log")
    gateway = int(site.layout.gateway_lock.read_text("ascii"))
    assert "galaxy_apps.gateway" in command_of(gateway)
    secret = telegram.token.partition(":")[2]
    assert secret not in command_of(gateway)
    settings = site.layout.settings_folder / "config.json"
    looked_at = [path for path in site.folder.rglob("*") if path.is_file() and path != settings]
    assert {".log", ".sqlite3", ".jsonl", ".json", ".md"} <= {path.suffix for path in looked_at}
    # A file may go while we look: a letter that is put away.
    assert [path for path in looked_at if path.exists() and _holds(path, secret)] == []


def _holds(path: Path, secret: str) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return secret.encode() in path.read_bytes()
    return False
