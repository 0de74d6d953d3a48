"""From the phone to the real opencode and back: what it asks, does, sends and shows."""

from __future__ import annotations

import os
import signal
import struct
import zlib
from collections.abc import Iterator

import pytest

from galaxy_core.testing.bot_api.process import BotApiProcess, Remote
from galaxy_core.testing.fixtures_opencode import opencode_binary, scripted_model
from galaxy_core.testing.opencode_project import private_environment, write_opencode_project
from galaxy_core.testing.scripted_llm import ScriptedModelServer
from tests.e2e.machine import eventually, processes_at
from tests.e2e.phone import Site

__all__ = ["opencode_binary", "scripted_model"]


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory,
    opencode_binary: os.PathLike[str],
    scripted_model: ScriptedModelServer,
) -> Iterator[Site]:
    """Give a site whose agent is the real one, on a model that plays what it is told."""
    folder = tmp_path_factory.mktemp("agent")
    home = folder / "home"
    project = folder / "project"
    write_opencode_project(project, scripted_model.url, permission={"bash": "ask"})
    environment = private_environment(home, os.environ)  # noqa: TID251 - for PATH
    environment |= {"GALAXY_OPENCODE_BIN": str(opencode_binary), "PWD": str(project)}
    with BotApiProcess(folder, keeps_state=False) as telegram:
        people = [telegram.person(f"Ann {number}") for number in range(6)]
        site = Site(
            project,
            telegram,
            {
                "dispatcher": "opencode-server",
                "authorized_users": [person.id or 0 for person in people],
                "workers": 4,
            },
            more_environment=environment,
        )
        site.spare_people.extend(people)
        try:
            site.start_gateway()
            site.start_hermes()
            yield site
        finally:
            site.stop_all()
            for pid in processes_at(home):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def ann(site: Site) -> Remote:
    """Give somebody who has said nothing so far."""
    return site.spare_people.pop()


def test_a_permission_is_given_by_a_button(site: Site, ann: Remote) -> None:
    """The agent waits, the gateway dies, the button still counts: the command runs."""
    ann.do("writes", text="CALL bash: echo from the shell > seen.txt\nSAY it is written")
    asked = site.wait_for(ann, "May I?")
    assert any("seen.txt" in text for text in asked.marked("code"))
    pid = int(site.layout.gateway_lock.read_text("ascii"))
    os.kill(pid, signal.SIGKILL)
    ann.do("presses", message=asked.message_id, button="Once")
    eventually(lambda: site.has_ended(pid), "the gateway is dead")
    site.start_gateway()
    site.wait_for(ann, "it is written")
    assert (site.folder / "seen.txt").read_text() == "from the shell\n"
    eventually(lambda: bool(site.answers(ann, "Allowed once")), "the question says so")


def test_a_permission_is_refused_with_words(site: Site, ann: Remote) -> None:
    """A reply in words is a no, and the agent reads why."""
    ann.do("writes", text="CALL bash: rm -rf everything\nSAY something else then")
    asked = site.wait_for(ann, "May I?")
    ann.do("writes", text="never do that", reply_to=asked.message_id)
    eventually(lambda: bool(site.answers(ann, "your words went")), "the question says so")
    eventually(lambda: bool(site.answers(ann, "something else")), "the agent goes on")


def test_a_question_of_the_agent_has_buttons(site: Site, ann: Remote) -> None:
    """Several may be chosen; what was chosen reaches the model."""
    ann.do("writes", text="ASK MULTI Which colours? | red | green | blue\nSAY thanks")
    asked = site.wait_for(ann, "Which colours?")
    ann.do("presses", message=asked.message_id, button=asked.button("☐ red").data)
    ann.do("presses", message=asked.message_id, button=asked.button("☐ blue").data)
    ann.do("presses", message=asked.message_id, button="Send off")
    site.wait_for(ann, "thanks")
    eventually(lambda: bool(site.answers(ann, "Answer: red, blue")), "the question says it")


def test_what_the_agent_writes_comes_along(site: Site, ann: Remote) -> None:
    """A file in the order's folder is sent after the answer."""
    link = site.layout.outgoing_link(f"telegram:{ann.id}")
    ann.do("writes", text=f"WRITE {link}/report.md: all is well\nSAY see the report")
    site.wait_for(ann, "see the report")
    eventually(lambda: any(seen.files for seen in site.telegram.sent(ann.id)), "the file comes")
    (file,) = [file for seen in site.telegram.sent(ann.id) for file in seen.files]
    assert (file.name, file.content) == ("report.md", b"all is well")


def test_a_photo_reaches_the_model(site: Site, ann: Remote) -> None:
    """The album's pictures are given to the agent as pictures."""
    files = [("photo", f"{name}.png", _picture(200, 150)) for name in "ab"]
    ann.do("sends_album", files=files, caption="DUMP")
    answer = site.wait_for(ann, "image_url")
    assert answer.text.count("image_url") == 2


def _picture(width: int, height: int) -> bytes:
    """A PNG, all black."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes(width)) * height)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", rows), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_a_todo_list_shows_while_it_works(site: Site, ann: Remote) -> None:
    """The status shows what the agent is at, and is not the answer."""
    ann.do("writes", text="TODO dig* | plant\nSLEEP 4\nSAY dug and planted")
    eventually(lambda: bool(site.answers(ann, "plant")), "the list shows")
    answer = site.wait_for(ann, "dug and planted")
    assert answer.edits == 0
