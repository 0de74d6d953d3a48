"""A running Hermes and what should not be in its folder: nothing lost, nobody stopped."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from galaxy_core.testing.script import JSON
from tests.e2e.machine import Machine, eventually
from tests.support import require_or_skip

MIB = 1 << 20


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine with the built-in scripted agent: it is not the agent that is tried here."""
    made = Machine(
        folder=tmp_path,
        opencode=Path("/nonexistent"),
        model_url="http://127.0.0.1:9/v1",
        settings={"dispatcher": "scripted"},
    )
    yield made
    made.stop_all()


def write_order(machine: Machine, name: str, content: bytes) -> None:
    """Put bytes into the order folder."""
    (machine.layout.orders / name).write_bytes(content)


def order(**fields: JSON) -> bytes:
    """An order of the guide's shape."""
    return json.dumps({"type": "galaxy_order", "payload": "Echo hello", **fields}).encode()


def refused(machine: Machine, order_id: str) -> str:
    """What the person reads about an order that was refused."""
    machine.wait_for_end(order_id)
    assert machine.archived(order_id)["outcome"] == "failed"
    return machine.response(order_id)


def test_what_cannot_be_read_goes_aside_with_a_reason(machine: Machine) -> None:
    """Unreadable files, folders, links and giants: kept aside, reported, never run."""
    machine.layout.orders.mkdir(parents=True)
    secret = machine.folder / "secret.json"
    secret.write_bytes(order(payload="secret"))
    first = machine.start()
    machine.wait_until_up()

    write_order(machine, "broken.json", b'{"payload": "half')
    write_order(machine, "list.json", b"[1, 2, 3]")
    write_order(machine, "nothing.json", b"")
    write_order(machine, "binary.json", bytes(range(256)))
    with (machine.layout.orders / "huge.json").open("wb") as file:
        file.truncate(200 * MIB)
    (machine.layout.orders / "folder.json").mkdir()
    (machine.layout.orders / "link.json").symlink_to(secret)
    os.mkfifo(machine.layout.orders / "pipe.json")

    names = ["broken", "list", "nothing", "binary", "huge", "folder", "link", "pipe"]
    for name in names:
        reason = machine.layout.corrupted / f"{name}.json.reason"
        eventually(reason.exists, f"{name} is set aside")
        assert len(reason.read_text(encoding="utf-8").split()) > 3
        # The reason comes first: what lies there has one, also after a kill in between.
        there = machine.layout.corrupted / f"{name}.json"
        eventually(partial(os.path.lexists, there), f"{name} is moved")
    eventually(lambda: len(machine.letters()) == len(names), "people are told of each")
    assert secret.exists()
    first.terminate()
    first.wait(60)

    second = machine.start()
    write_order(machine, "good.json", order())
    machine.wait_for_end("good")
    assert machine.archived("good")["outcome"] == "succeeded"
    second.terminate()
    second.wait(60)
    quarantined = [r for r in machine.trail() if r["event_type"] == "order_quarantined"]
    assert len(quarantined) == len(names), "each is told once, whatever is started"


def test_pipes_in_every_folder_hold_up_nobody(machine: Machine) -> None:
    """Whoever may write there could stop Hermes with one `mkfifo`: it works beside them."""
    layout = machine.layout
    for place in (
        *(layout.orders / "x.json", layout.orders / "y.json.processing", layout.archive / "x.json"),
        *(layout.corrupted / "z.json.reason", layout.outbox / "x.json", layout.response("x")),
        *(layout.outbox_archive / "x.json", layout.outbox_undeliverable / "x.json"),
        *(layout.sessions, layout.health_log),
    ):
        place.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(place)
    (layout.corrupted / "z.json").touch()
    machine.start()
    machine.wait_until_up()
    write_order(machine, "good.json", order())
    machine.wait_for_end("good")
    assert machine.archived("good")["outcome"] == "succeeded"
    listed = machine.galaxy("order", "list", "--json")
    assert [each["order_id"] for each in json.loads(listed.stdout)["orders"]] == ["good"]


def test_what_is_refused_is_answered(machine: Machine) -> None:
    """Readable but wrong: a response that says why, an archived order, a letter."""
    machine.layout.orders.mkdir(parents=True)
    machine.start()
    machine.wait_until_up()
    write_order(machine, "empty.json", order(payload="  "))
    write_order(machine, "long.json", order(payload="x" * 10_001))
    write_order(machine, "number.json", order(payload=42))
    write_order(machine, "up.json", order(order_id="../../etc/passwd"))
    write_order(machine, "slash.json", order(order_id="a/b"))
    write_order(machine, "line.json", order(order_id="a\nb"))
    write_order(machine, "prio.json", order(priority="hihg"))
    write_order(machine, "other.json", order(target="somewhere-else"))
    write_order(machine, "late.json", order(expires_at="2020-01-01T00:00:00Z"))

    assert "empty" in refused(machine, "empty")
    assert "10,001" in refused(machine, "long")
    assert "payload" in refused(machine, "number")
    for name in ("up", "slash", "line"):
        assert "order_id" in refused(machine, name)
    assert "high" in refused(machine, "prio")
    assert "somewhere-else" in refused(machine, "other")
    machine.wait_for_end("late")
    assert machine.archived("late")["outcome"] == "expired"
    eventually(lambda: len(machine.letters()) == 9, "each has its letter")
    outside = [p for p in machine.folder.rglob("*") if "passwd" in p.name]
    assert outside == []


def test_a_slowly_written_order_is_waited_for(machine: Machine) -> None:
    """A file that is still being written is neither read too early nor condemned."""
    machine.layout.orders.mkdir(parents=True)
    machine.start()
    machine.wait_until_up()
    whole = order(payload="Echo " + "slow " * 200)
    with (machine.layout.orders / "slow.json").open("wb") as file:
        for begin in range(0, len(whole), 300):
            file.write(whole[begin : begin + 300])
            file.flush()
            eventually(lambda: machine.heartbeat().get("status") == "running", "Hermes lives")
    machine.wait_for_end("slow")
    assert machine.archived("slow")["outcome"] == "succeeded"
    assert not list(machine.layout.corrupted.glob("*"))


def test_the_same_id_with_other_content_overwrites_nothing(machine: Machine) -> None:
    """The old gateway gave every message of a chat one id: each is answered under its own."""
    machine.layout.orders.mkdir(parents=True)
    machine.start()
    machine.wait_until_up()
    for number in range(3):
        content = order(order_id="telegram:42", payload=f"Echo {number}", chat_id=42)
        write_order(machine, f"2026020212000{number}.json", content)
    machine.wait_for_end("telegram:42", "telegram:42-2", "telegram:42-3")
    payloads = {
        machine.archived(order_id)["payload"]
        for order_id in ("telegram:42", "telegram:42-2", "telegram:42-3")
    }
    assert payloads == {"Echo 0", "Echo 1", "Echo 2"}
    assert len(machine.letters()) == 3


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own, which is soon full."""
    folder = tmp_path / "project"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m,nr_inodes=400", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        require_or_skip("a small tmpfs cannot be mounted here (needs root)")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_delays_answers_and_loses_none(small_disk: Path, machine: Machine) -> None:
    """No space left while orders run: each is answered once there is space again."""
    machine.layout.orders.mkdir(parents=True)
    for number in range(5):
        write_order(machine, f"o{number}.json", order(payload=f"SLEEP 1\nEcho {number}"))
    machine.start()
    eventually(lambda: bool(machine.heartbeat().get("running")), "orders run")
    ballast = small_disk / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
    except OSError:
        pass
    eventually(lambda: "No space left" in machine.logs() or "full" in machine.logs(), "it is told")
    assert machine.heartbeat()
    ballast.unlink()
    machine.wait_for_end(*(f"o{number}" for number in range(5)))
    assert [machine.archived(f"o{n}")["outcome"] for n in range(5)] == ["succeeded"] * 5
    answers = [letter for letter in machine.letters() if letter.get("order_id")]
    assert len(answers) == 5
    checked = machine.galaxy("audit", "verify")
    assert checked.returncode == 0, checked.stdout
