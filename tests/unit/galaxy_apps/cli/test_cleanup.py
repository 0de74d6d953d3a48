"""`galaxy cleanup` on the files themselves: what is over goes, what anybody needs stays."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import evolve

from galaxy_adapters.audit_jsonl import JsonlAuditSink, JsonlAuditTrail, verify_chain
from galaxy_adapters.channel_web._database import Database
from galaxy_adapters.channel_web._history import StoredFile, add_file, add_message
from galaxy_adapters.channel_web.channel import FILES, HISTORY
from galaxy_adapters.clock_system import SystemClock
from galaxy_adapters.notes_sqlite import SqliteNoteStore
from galaxy_apps.cli.main import main
from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.settings import load
from galaxy_apps.wiring import Place, build_desk
from galaxy_core.domain.audit import AuditQuery, AuditType
from galaxy_core.domain.ids import OrderId
from galaxy_core.ports.note_store import Note
from galaxy_core.services.trail import Trail
from galaxy_core.testing.factories import make_order
from galaxy_core.testing.memory import MemoryIncidentSink
from galaxy_core.wire.layout import Layout
from tests.unit.galaxy_apps.cli.letters import deliver_letters

OLD = time.time() - 40 * 86_400
FILE = "0" * 32


def place_here() -> Place:
    """The machine of the folder."""
    configuration = load(None)
    return Place(configuration.settings, configuration.machine(None))


async def live(folder: Path) -> None:
    """End four orders; nobody has got the answer of one, another one is needed."""
    async with build_desk(place_here()) as desk:
        for name in ("done", "unheard", "needed", "mentioned"):
            await desk.submit(make_order(id=OrderId(name), payload=f"Order {name}."))
            await desk.cancel(OrderId(name), by="me")
        media = {"path": f"{folder}/.sisyphus/notepads/galaxy-order-files/mentioned/in/a.txt"}
        await desk.submit(make_order(id=OrderId("waits"), after=(OrderId("needed"),)))
        (Layout(folder).orders / "by-hand.json").write_text(
            json.dumps({"payload": "Look at it.", "media": [media], "order_id": "by-hand"})
        )
    await deliver_letters(folder, but="unheard")


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """Give a project all of whose files are forty days old."""
    monkeypatch.delenv("GALAXY_CONFIG", raising=False)
    monkeypatch.delenv("GALAXY_RESPONSE_RETENTION_DAYS", raising=False)
    monkeypatch.chdir(tmp_path)
    assert main(["init", "--yes", "--name", "lab", "--dispatcher", "scripted"]) == ExitCode.OK
    anyio.run(live, tmp_path)
    layout = Layout(tmp_path)
    for name in ("done", "mentioned", "waits"):
        layout.inbound_files(name).mkdir(parents=True)
        (layout.inbound_files(name) / "a.txt").write_text("content")
    for name in ("done", "waits"):
        layout.progress.mkdir(exist_ok=True)
        (layout.progress / f"{name}.jsonl").write_text("{}\n")
    make_old(layout.notepads)
    return layout


def retain(layout: Layout, **ages: int | None) -> None:
    """Write ages into the settings."""
    file = layout.settings_folder / "config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps(config | {"retention": ages}))


def make_old(folder: Path) -> None:
    """Let forty days pass."""
    for root, folders, files in os.walk(folder, topdown=False):
        for name in (*folders, *files):
            os.utime(f"{root}/{name}", (OLD, OLD), follow_symlinks=False)


def names(folder: Path) -> set[str]:
    """What lies there."""
    return {path.name for path in folder.iterdir()}


def cleanup(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, dict[str, Any]]:
    """Run it; what it says of each kind."""
    capsys.readouterr()
    assert main(["cleanup", "--json", *words]) == ExitCode.OK
    return {each["kind"]: each for each in json.loads(capsys.readouterr().out)["kinds"]}


def tree(folder: Path) -> set[str]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_it_is_shown_first(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --apply nothing is touched, and what would go is counted."""
    before = tree(layout.repo_path)
    found = cleanup(capsys, "--older-than", "30")
    assert (found["orders"]["count"], found["orders"]["kept"]) == (2, 2)
    assert tree(layout.repo_path) == before
    assert "audit" not in found


def test_what_is_over_goes_and_the_rest_stays(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    """Orders that wait, orders they need and answers that nobody has stay with all they have."""
    found = cleanup(capsys, "--older-than", "30", "--apply")
    assert names(layout.archive) == {"needed.json", "unheard.json"}
    assert not layout.response("done").exists()
    assert layout.response("unheard").exists()
    assert {"waits.json", "by-hand.json"} <= names(layout.orders)
    assert names(layout.outbox) == {"hermes-unheard.json"}
    assert names(layout.outbox_archive) == set()
    assert names(layout.inbound_files("x").parent.parent) == {"mentioned", "waits"}
    assert names(layout.progress) == {"waits.jsonl"}
    assert found["files"]["bytes"] == len("content")
    lines = [json.loads(line) for line in layout.audit_log.read_bytes().splitlines()]
    told = {line["kind"]: line["count"] for line in lines if line["event_type"] == "cleaned_up"}
    assert told == {"orders": 2, "responses": 3, "letters": 3, "files": 1, "leftovers": 1}


def test_nothing_is_missing_afterwards(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    """The proof of completeness knows what was tidied away; a second run finds nothing."""
    # The trail cannot be older than it is: what ended is as old as the files say only here.
    make_trail_old(layout)
    cleanup(capsys, "--older-than", "30", "--apply")
    assert all(not each["count"] for each in cleanup(capsys, "--older-than", "30").values())
    capsys.readouterr()
    code = main(["audit", "verify", "--json"])
    proof = json.loads(capsys.readouterr().out)["completeness"]
    assert (code, proof["gaps"]) == (ExitCode.OK, [])


def test_an_id_is_free_afterwards(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    """An order under the id of one that was tidied away is another one, and not the same twice."""
    make_trail_old(layout)
    cleanup(capsys, "--older-than", "30", "--apply")
    assert main(["order", "submit", "Once more.", "--id", "done"]) == ExitCode.OK
    assert main(["order", "cancel", "done"]) == ExitCode.OK
    capsys.readouterr()
    code = main(["audit", "verify", "--json"])
    proof = json.loads(capsys.readouterr().out)["completeness"]
    assert (code, proof["gaps"]) == (ExitCode.OK, [])


def make_trail_old(layout: Layout) -> None:
    """Write the trail anew as if its lines were forty days old."""

    async def write() -> None:
        records = await JsonlAuditTrail(layout.audit_log).read(AuditQuery(limit=None))
        layout.audit_log.unlink()
        layout.audit_log.with_name(layout.audit_log.name + ".head").unlink()
        chain = {"sequence", "digest", "hash", "prev"}
        events = [
            evolve(
                record.event,
                timestamp=record.event.timestamp - timedelta(days=40),
                data={k: v for k, v in record.event.data.items() if k not in chain},
            )
            for record in records
        ]
        await JsonlAuditSink(layout.audit_log).record(events)

    anyio.run(write)


@pytest.mark.parametrize("decide", ["retry", "dismiss"])
def test_dead_letters_stay(layout: Layout, capsys: pytest.CaptureFixture[str], decide: str) -> None:
    """An order that was given up stays, with its files, until somebody has decided on it."""
    path = layout.archive / "done.json"
    order = json.loads(path.read_text())
    path.write_text(json.dumps(order | {"outcome": "dead"}))
    make_old(layout.notepads)
    cleanup(capsys, "--older-than", "30", "--apply")
    assert path.exists()
    assert layout.inbound_files("done").exists()
    assert main(["order", decide, "done"]) == ExitCode.OK
    cleanup(capsys, "--older-than", "30", "--apply")
    assert not path.exists()


@pytest.mark.parametrize("decide", ["retry", "dismiss"])
def test_a_decision_goes_with_its_order(
    layout: Layout, capsys: pytest.CaptureFixture[str], decide: str
) -> None:
    """Another order may get the id of one that is gone; nobody has decided on that."""
    path = layout.archive / "done.json"
    given_up = json.dumps(json.loads(path.read_text()) | {"outcome": "dead"})
    said = []
    for _ in range(2):
        path.write_text(given_up)
        make_old(layout.archive)
        capsys.readouterr()
        assert main(["order", decide, "done"]) == ExitCode.OK
        said.append(capsys.readouterr().out)
        cleanup(capsys, "--kind", "orders=30", "--apply")
        assert not path.exists()
    if decide == "retry":
        assert said[0] != said[1]
    else:
        assert said == ["The order done waits for no decision any more.\n"] * 2
    for folder in ("successors", "dismissed", "dead"):
        marks = layout.queue_state / folder
        assert not marks.exists() or not names(marks)


def test_an_unanswered_order_of_the_original_stays(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever moved an order to the archive by hand did not answer it."""
    for name, is_answered in (("asked", False), ("answered", True)):
        order = {"payload": "Old.", "timestamp": 1, "acknowledged": is_answered}
        (layout.archive / f"{name}.json").write_text(json.dumps(order))
    make_old(layout.notepads)
    cleanup(capsys, "--kind", "orders=30", "--apply")
    assert {"asked.json"} == names(layout.archive) & {"asked.json", "answered.json"}


def test_what_is_younger_stays(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    """The age counts, by kind: a kind that is not named is not looked at."""
    assert cleanup(capsys, "--older-than", "50", "--apply")["orders"]["count"] == 0
    assert set(cleanup(capsys, "--kind", "letters=30", "--apply")) == {"letters"}
    assert layout.response("done").exists()


def test_ages_of_the_settings(
    layout: Layout, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an age the settings count; without those either, nothing is done."""
    assert set(cleanup(capsys)) == {"letters", "leftovers"}
    retain(layout, letters=None, leftovers=None)
    assert main(["cleanup"]) == ExitCode.USAGE
    monkeypatch.setenv("GALAXY_RESPONSE_RETENTION_DAYS", "30")
    assert set(cleanup(capsys, "--apply")) == {"responses"}
    assert not layout.response("done").exists()
    assert (layout.archive / "done.json").exists()


@pytest.mark.parametrize("words", ["--kind mail=3", "--kind orders", "--older-than 0"])
def test_ages_that_are_none(layout: Layout, words: str) -> None:
    """A slip removes nothing."""
    before = tree(layout.repo_path)
    assert main(["cleanup", "--apply", *words.split()]) == ExitCode.USAGE
    assert tree(layout.repo_path) == before


async def rotate(layout: Layout) -> None:
    """Write three parts."""
    sink = JsonlAuditSink(layout.audit_log, rotate_bytes=100)
    trail = Trail(sink, SystemClock(), "lab")
    for _ in range(2):
        await trail.record(trail.event(AuditType.DAEMON_STARTED))


def test_the_trail_goes_only_by_name(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    """Full parts go when they are named; what is left checks out, and says what is not there."""
    anyio.run(rotate, layout)
    parts = list(layout.logs.glob("galaxy-audit-*.jsonl"))
    assert len(parts) == 2
    for part in parts:
        os.utime(part, (OLD, OLD))
    assert "audit" not in cleanup(capsys, "--older-than", "1")
    assert cleanup(capsys, "--kind", "audit=30", "--apply")["audit"]["count"] == 2
    report = verify_chain(layout.audit_log)
    assert report.is_intact, report.faults
    assert "were removed on a person's order" in report.notes[0]


def test_heads_of_what_was_removed_are_not_missed(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file of heads is never shortened: those of removed lines are no fault, all others are."""
    anyio.run(rotate, layout)
    records = anyio.run(JsonlAuditTrail(layout.audit_log).read, AuditQuery(limit=None))
    heads = layout.repo_path / "heads.txt"

    def write_down(*, wrong: int = 0) -> None:
        known = [(r.sequence or 0, r.digest) for r in records]
        lines = [f"2026-01-01T00:00:00+00:00 {n} {d} lab\n" for n, d in known if n != wrong]
        made_up = f"2026-01-01T00:00:00+00:00 {wrong} {'f' * 64} lab\n" if wrong else ""
        heads.write_text("".join(lines) + made_up)

    write_down()
    retain(layout, audit=30)
    settings = layout.settings_folder / "config.json"
    known = json.loads(settings.read_text())
    settings.write_text(json.dumps(known | {"audit": {"anchor_file": str(heads)}}))
    for part in layout.logs.glob("galaxy-audit-*.jsonl"):
        os.utime(part, (OLD, OLD))
    assert cleanup(capsys, "--apply")["audit"]["count"] == 2
    assert main(["audit", "verify", "--chain-only"]) == ExitCode.OK
    assert "written down" in capsys.readouterr().out
    removed = max(r.sequence or 0 for r in records) - 1
    for number in (removed, removed + 1):
        write_down(wrong=number)
        assert main(["audit", "verify", "--chain-only"]) == ExitCode.FAILURE


def test_the_settings_may_name_the_trail(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    """An age for the trail is an order to remove its full parts; there is none by default."""
    anyio.run(rotate, layout)
    for part in layout.logs.glob("galaxy-audit-*.jsonl"):
        os.utime(part, (OLD, OLD))
    assert "audit" not in cleanup(capsys)
    retain(layout, audit=30)
    assert cleanup(capsys, "--apply")["audit"]["count"] == 2
    assert verify_chain(layout.audit_log).is_intact


async def accept_keys(layout: Layout) -> None:
    """Accept orders under keys of their senders; some are over, one was tried again."""
    async with build_desk(place_here()) as desk:
        for name in ("gone", "known", "open"):
            order = make_order(id=OrderId(name), idempotency_key=f"key-{name}")
            await desk.submit(order)
        for name in ("gone", "known"):
            await desk.cancel(OrderId(name), by="me")
            await desk.retry(OrderId(name), by="me")
    for folder in ("dead", "dismissed"):
        (layout.queue_state / folder).mkdir(exist_ok=True)
        for name in ("gone", "known"):
            (layout.queue_state / folder / name).touch()
    (layout.archive / "gone.json").unlink()
    (layout.outbox / "hermes-gone.json").unlink()


def test_keys_and_links_go_with_their_orders(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    """A key recognises an order that comes twice, as long as that is known; then it goes."""
    anyio.run(accept_keys, layout)
    state = layout.queue_state
    make_old(layout.notepads)
    cleanup(capsys, "--kind", "leftovers=30", "--apply")
    kept = {path.read_text() for path in (state / "keys").iterdir()}
    assert kept == {"known", "open"}
    for folder in ("successors", "dead", "dismissed"):
        assert names(state / folder) == {"known"}


def test_a_beginning_that_was_cut_off_is_found(layout: Layout) -> None:
    """Parts that somebody removed without the line that says so are missed."""
    anyio.run(rotate, layout)
    for part in layout.logs.glob("galaxy-audit-*.jsonl"):
        part.unlink()
    report = verify_chain(layout.audit_log)
    assert not report.is_intact
    assert "missing or moved" in report.faults[0]


async def chat(layout: Layout) -> None:
    """Say something forty days ago, with a file, and something today."""
    folder = layout.web_channel
    database = Database(folder / HISTORY, SystemClock(), MemoryIncidentSink())
    await database.open()
    (folder / FILES).mkdir()
    (folder / FILES / FILE).write_bytes(b"12345")
    file = StoredFile(FILE, "a.txt", "text/plain", 5)
    for age, mark in ((40, f'"{FILE}"'), (0, "null")):
        at = datetime.now(UTC) - timedelta(days=age)
        body = json.loads(f'{{"text": "Hello", "files": [{{"id": {mark}}}]}}')
        await database.write(partial(add_message, person="owner", slug="main", at=at, body=body))
    await database.write(lambda db: add_file(db, "owner", file))
    await database.close()


def test_the_pages_chat(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    """Old messages go, with their files; younger ones stay."""
    anyio.run(chat, layout)
    assert cleanup(capsys, "--kind", "web=30")["web"]["count"] == 1
    assert (layout.web_channel / FILES / FILE).exists()
    assert cleanup(capsys, "--kind", "web=30", "--apply")["web"]["count"] == 1
    assert not (layout.web_channel / FILES / FILE).exists()
    assert cleanup(capsys, "--kind", "web=30")["web"]["count"] == 0
    assert cleanup(capsys, "--kind", "web=1", "--apply")["web"]["count"] == 0


def test_old_conversations(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    """Conversations that nobody has gone on with go; those of today stay."""
    at = datetime.now(UTC)
    entries = {
        name: {"session_id": f"ses_{days}", "updated_at": (at - timedelta(days=days)).isoformat()}
        for name, days in (("files:1", 40), ("telegram:5", 1))
    }
    layout.sessions.write_text(json.dumps({"conversations": entries}))
    assert cleanup(capsys, "--kind", "sessions=30", "--apply")["sessions"]["count"] == 1
    assert set(json.loads(layout.sessions.read_text())["conversations"]) == {"telegram:5"}


async def deal(layout: Layout) -> None:
    """Deal with a question of the gateway's."""
    async with SqliteNoteStore(layout.gateway_notes, SystemClock(), MemoryIncidentSink()) as notes:
        await notes.close("ask", ["over"])
        await notes.add([Note(kind="ask", key="open")])


def test_the_gateways_notes(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    """Keys of what is over go at their age; what is open stays."""
    anyio.run(deal, layout)
    assert cleanup(capsys, "--kind", "notes=1")["notes"]["count"] == 0
    connection = sqlite3.connect(layout.gateway_notes)
    with connection:
        connection.execute("UPDATE notes SET closed_at = 1 WHERE closed_at IS NOT NULL")
    assert cleanup(capsys, "--kind", "notes=1", "--apply")["notes"]["count"] == 1
    assert connection.execute("SELECT key FROM notes").fetchall() == [(b"open",)]
    connection.close()


@pytest.fixture
def apart(layout: Layout) -> Layout:
    """The gateway's own folder, beside that of its only machine."""
    own = Layout(layout.repo_path / "gateway")
    own.settings_folder.mkdir(parents=True)
    config = json.loads((layout.settings_folder / "config.json").read_text())
    config["machines"]["lab"]["repo_path"] = str(layout.repo_path)
    (own.settings_folder / "config.json").write_text(json.dumps(config))
    (own.settings_folder / "config.json").chmod(0o600)
    os.chdir(own.repo_path)
    anyio.run(deal, own)
    anyio.run(chat, own)
    own.outbox_archive.mkdir(parents=True)
    (own.outbox_archive / "said.json").write_text('{"message": "Hello", "sent": true}')
    os.utime(own.outbox_archive / "said.json", (OLD, OLD))
    return own


def test_the_gateways_folder_apart(
    layout: Layout, apart: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is tidied by its name, and on record in its own trail; the machine's is left alone."""
    before = tree(layout.archive)
    words = ("--older-than", "30", "--machine", "gateway")
    found = cleanup(capsys, *words)
    assert (found["letters"]["count"], found["web"]["count"]) == (1, 1)
    assert (apart.outbox_archive / "said.json").exists()
    cleanup(capsys, *words, "--apply")
    assert names(apart.outbox_archive) == set()
    assert tree(layout.archive) == before
    assert '"cleaned_up"' in apart.audit_log.read_text()
    assert '"cleaned_up"' not in layout.audit_log.read_text()


def test_a_folder_that_is_left_out_is_named(
    layout: Layout, apart: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who tidies the machine's folder is told of the gateway's, and how it is meant."""
    capsys.readouterr()
    assert main(["cleanup", "--older-than", "30", "--apply"]) == ExitCode.OK
    said = capsys.readouterr().out
    assert f"{apart.repo_path}, is tidied apart" in said
    assert "galaxy cleanup --machine gateway" in said
    assert not (layout.archive / "done.json").exists()
    assert (apart.outbox_archive / "said.json").exists()


def test_the_gateways_folder_that_is_a_machines(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    """There it is the same to name the one or the other, and nothing is left out."""
    anyio.run(deal, layout)
    found = cleanup(capsys, "--older-than", "30")
    assert cleanup(capsys, "--older-than", "30", "--machine", "gateway").keys() == found.keys()
    assert main(["cleanup", "--older-than", "30"]) == ExitCode.OK
    assert "is tidied apart" not in capsys.readouterr().out
