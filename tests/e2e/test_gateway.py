"""`galaxy-gateway` as a process: from a chat to an answer, how it starts, stops and is killed."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from galaxy_apps.exit_codes import ExitCode
from galaxy_core.domain.order import JSONValue
from galaxy_core.testing.bot_api.process import BotApiProcess, Remote
from tests.e2e.machine import command_of, eventually
from tests.e2e.phone import Site

MakeSite = Callable[..., Site]
STOP_S = 5.0


@pytest.fixture
def telegram(tmp_path: Path) -> Iterator[BotApiProcess]:
    """Give a Bot API server of our own."""
    with BotApiProcess(tmp_path) as running:
        yield running


@pytest.fixture
def make_site(tmp_path: Path, telegram: BotApiProcess) -> Iterator[MakeSite]:
    """Sites that are cleaned up."""
    made: list[Site] = []

    def make(**settings: JSONValue) -> Site:
        folder = tmp_path / f"site-{len(made) + 1}"
        folder.mkdir()
        site = Site(folder, telegram, settings)
        made.append(site)
        return site

    yield make
    for site in made:
        site.stop_all()


def test_a_message_comes_back_answered(make_site: MakeSite, telegram: BotApiProcess) -> None:
    """From a chat through gateway, queue and Hermes and back: one order, one answer, on record."""
    ann = telegram.person("Ann")
    site = make_site(authorized_users=[ann.id or 0])
    site.start_gateway()
    site.start_hermes()
    ann.do("writes", text="Say something")
    answer = site.wait_for(ann, "echo[1]: Say something")
    assert answer.edits == 0
    eventually(lambda: bool(site.trail("letter_delivered")), "the delivery is on record")
    assert len(site.trail("order_submitted")) == 1
    eventually(lambda: not list(site.layout.outbox.glob("hermes-*.json")), "it is put away")
    assert len(site.answers(ann, "echo[1]")) == 1


def test_a_stranger_is_let_in_by_a_code(make_site: MakeSite, telegram: BotApiProcess) -> None:
    """The first five minutes: /start, a code, `galaxy pair`, and the gateway listens."""
    ann = telegram.person("Ann")
    site = make_site()
    site.start_gateway()
    site.start_hermes()
    ann.do("writes", text="Do something")
    ann.do("starts")
    shown = site.wait_for(ann, "code is")
    code = re.search(r"[0-9A-Z]{4}-[0-9A-Z]{4}", shown.text)
    assert code is not None
    paired = site.galaxy("pair", code[0])
    assert paired.returncode == ExitCode.OK, paired.stderr
    assert "is in as owner" in paired.stdout
    site.wait_for(ann, "You are in")
    ann.do("writes", text="Now do it")
    site.wait_for(ann, "echo[1]: Now do it")
    assert len(site.trail("order_submitted")) == 1
    # Both messages from before: a stranger's, and the one that asked to be let in.
    assert len(site.trail("message_refused")) == 2
    assert site.galaxy("people", "remove", str(ann.id)).returncode == ExitCode.OK
    ann.do("writes", text="And this")
    eventually(lambda: len(site.trail("message_refused")) == 3, "the person is a stranger again")
    assert len(site.trail("order_submitted")) == 1


def test_files_come_and_go_with_an_order(make_site: MakeSite, telegram: BotApiProcess) -> None:
    """A document lies in the order's own folder; what lies beside it at the end comes back."""
    ann = telegram.person("Ann")
    site = make_site(authorized_users=[ann.id or 0])
    site.start_gateway()
    ann.do("sends_document", name="../notes.txt", content=b"read me", caption="What is this?")
    eventually(lambda: bool(list(site.layout.orders.glob("*.json"))), "the order waits")
    (order,) = (json.loads(path.read_text()) for path in site.layout.orders.glob("*.json"))
    (sent,) = order["media"]
    stored = site.folder / sent["path"]
    assert stored.read_bytes() == b"read me"
    assert stored.parent == site.layout.inbound_files(order["order_id"])
    outgoing = site.layout.outbound_files(order["order_id"])
    outgoing.mkdir(parents=True, mode=0o700)
    (outgoing / "report.csv").write_text("a,b\n")
    (outgoing / ".env").write_text("SECRET=1")
    site.start_hermes()
    site.wait_for(ann, "echo[1]: What is this?")
    eventually(lambda: bool(_files(site, ann)), "the file is in the chat")
    assert _files(site, ann) == {"report.csv": b"a,b\n"}


def test_a_second_gateway_is_refused(make_site: MakeSite) -> None:
    """It says which one is there and leaves it alone; after a kill the place is free."""
    site = make_site()
    first = site.start_gateway()
    second = site.start_gateway()
    assert second.wait() == ExitCode.ALREADY_RUNNING
    assert f"another gateway (process {first.pid}) serves" in site.logs()
    assert first.poll() is None
    first.kill()
    first.wait()
    assert site.start_gateway().poll() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_within_seconds(make_site: MakeSite, number: signal.Signals) -> None:
    """Telegram holds the question for updates for half a minute; nobody waits for that."""
    site = make_site()
    gateway = site.start_gateway()
    began = time.monotonic()
    gateway.send_signal(number)
    assert gateway.wait(20) == ExitCode.OK
    assert time.monotonic() - began < STOP_S
    assert "Traceback" not in site.logs()


@pytest.mark.parametrize("signals, code", [(1, ExitCode.OK), (2, ExitCode.INTERRUPTED)])
def test_a_call_that_hangs_is_not_waited_for(
    make_site: MakeSite, telegram: BotApiProcess, signals: int, code: ExitCode
) -> None:
    """A Telegram that does not answer holds a stop up for seconds, a second signal not at all."""
    ann = telegram.person("Ann")
    site = make_site(authorized_users=[ann.id or 0])
    gateway = site.start_gateway()
    telegram.do("plan", kind="hang", method="sendMessage", times=None)
    ann.do("writes", text="/whoami")
    eventually(lambda: bool(telegram.do("calls", method="sendMessage")), "the answer is sent")
    began = time.monotonic()
    for _ in range(signals):
        gateway.send_signal(signal.SIGTERM)
        time.sleep(0.5)
    assert gateway.wait(20) == code
    assert time.monotonic() - began < 2 * STOP_S
    telegram.do("heal")
    site.start_gateway()
    site.wait_for(ann, str(ann.id))


def test_telegram_may_call(make_site: MakeSite, telegram: BotApiProcess) -> None:
    """With a webhook the same happens, without anybody asking for updates."""
    ann = telegram.person("Ann")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    site = make_site(
        authorized_users=[ann.id or 0],
        telegram={"webhook": {"url": f"http://{address}/hook", "listen": address}},
    )
    gateway = site.start_gateway()
    site.start_hermes()
    ann.do("writes", text="Call me")
    site.wait_for(ann, "echo[1]: Call me")
    assert telegram.do("calls", method="getUpdates") == []
    gateway.send_signal(signal.SIGTERM)
    assert gateway.wait(20) == ExitCode.OK


def test_what_came_while_it_was_dead_is_answered_once(
    make_site: MakeSite, telegram: BotApiProcess
) -> None:
    """Killed between messages and started anew: each message is one order with one answer."""
    ann = telegram.person("Ann")
    site = make_site(authorized_users=[ann.id or 0])
    site.start_hermes()
    for number in range(4):
        gateway = site.start_gateway()
        ann.do("writes", text=f"message {number}a")
        gateway.send_signal(signal.SIGKILL)
        gateway.wait()
        ann.do("writes", text=f"message {number}b")
    site.start_gateway()
    for number in range(4):
        for half in "ab":
            site.wait_for(ann, f": message {number}{half}")
    eventually(lambda: not list(site.layout.outbox.glob("hermes-*.json")), "all is delivered")
    assert len(list(site.layout.archive.glob("*.json"))) == 8


def test_it_starts_while_telegram_is_away(make_site: MakeSite, telegram: BotApiProcess) -> None:
    """An outage is no reason to die: it goes on when Telegram is back."""
    ann = telegram.person("Ann")
    site = make_site(authorized_users=[ann.id or 0])
    telegram.kill()
    gateway = site.start_gateway()
    site.start_hermes()
    telegram.start()
    ann.do("writes", text="Still there?")
    site.wait_for(ann, "echo[1]: Still there?")
    assert gateway.poll() is None


def test_the_token_is_nowhere(make_site: MakeSite, telegram: BotApiProcess) -> None:
    """Neither the log at its loudest, nor trail, letters and process list hold it."""
    ann = telegram.person("Ann")
    site = make_site(authorized_users=[ann.id or 0])
    gateway = site.start_gateway("--log-level", "DEBUG")
    site.start_hermes()
    telegram.do("plan", kind="error", method="sendMessage", times=1)
    ann.do("writes", text="Say something")
    site.wait_for(ann, "echo[1]")
    assert telegram.token not in command_of(gateway.pid)
    telegram.kill()
    eventually(lambda: "receive" in site.logs() or "poll" in site.logs(), "the outage is seen")
    gateway.terminate()
    gateway.wait()
    secret = telegram.token.split(":")[1]
    config = site.layout.settings_folder / "config.json"
    for path in site.folder.rglob("*"):
        if path.is_file() and path != config:
            assert secret.encode() not in path.read_bytes(), path


@pytest.mark.slow
def test_it_costs_little_while_nothing_happens(make_site: MakeSite) -> None:
    """It runs beside everything else, day and night: under 80 MB, under 0.5 % of a core."""
    site = make_site()
    gateway = site.start_gateway()
    time.sleep(2)  # a start is no idling
    before = _processor_seconds(gateway.pid)
    time.sleep(12)
    share = (_processor_seconds(gateway.pid) - before) / 12
    status = Path(f"/proc/{gateway.pid}/status").read_text(encoding="ascii")
    kilobytes = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert kilobytes is not None
    assert int(kilobytes[1]) < 80_000
    assert share < 0.005


def _files(site: Site, person: Remote) -> dict[str, bytes]:
    return {file.name: file.content for seen in site.answers(person, "") for file in seen.files}


def _processor_seconds(pid: int) -> float:
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
