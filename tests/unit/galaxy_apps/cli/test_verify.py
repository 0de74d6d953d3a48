"""`galaxy audit verify` on the files themselves: what somebody did to them is found and named."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from galaxy_adapters.dispatch_scripted import ScriptedDispatcher
from galaxy_apps.cli.main import main
from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.settings import load
from galaxy_apps.watching import watching_hermes
from galaxy_apps.wiring import Place, build_desk
from galaxy_core.domain.audit import AuditEvent
from galaxy_core.domain.ids import OrderId
from galaxy_core.testing.factories import make_order
from galaxy_core.wire.layout import Layout
from tests.unit.galaxy_apps.cli.letters import deliver_letters

IDS = ("order-a", "order-b", "order-c")


async def live(folder: Path) -> None:
    """End three orders, deliver the letters of two; one order goes on waiting."""
    configuration = load(None)
    place = Place(configuration.settings, configuration.machine(None))
    async with build_desk(place) as desk:
        for name in IDS:
            await desk.submit(make_order(id=OrderId(name), payload=f"Order {name}."))
            await desk.cancel(OrderId(name), by="me")
        await desk.submit(make_order(id=OrderId("order-waits")))
    await deliver_letters(folder, but="order-c")


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """Give a project that has lived for a while."""
    monkeypatch.delenv("GALAXY_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    assert main(["init", "--yes", "--name", "lab", "--dispatcher", "scripted"]) == ExitCode.OK
    anyio.run(live, tmp_path)
    return Layout(tmp_path)


def lines_of(layout: Layout) -> list[bytes]:
    """The trail's lines."""
    return layout.audit_log.read_bytes().splitlines(keepends=True)


def verify(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[ExitCode, dict[str, Any]]:
    """Check it; what a program reads."""
    capsys.readouterr()
    code = main(["audit", "verify", "--json", *words])
    return ExitCode(code), json.loads(capsys.readouterr().out)


def test_nothing_is_missing(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    """What is over is complete, what waits is listed, and the exit code says that all is well."""
    code, found = verify(capsys)
    assert code == ExitCode.OK, found
    proof = found["completeness"]
    assert (found["is_intact"], proof["is_complete"], proof["orders"]) == (True, True, 3)
    assert proof["waiting_orders"] == {"count": 1, "order_ids": ["order-waits"]}
    assert proof["waiting_letters"] == {"count": 1, "order_ids": ["order-c"]}
    assert main(["audit", "verify"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "What it tells of is complete: 0 messages, 3 ended orders." in out
    assert "Waiting to be delivered: 1 letter (order-c)" in out
    assert str(layout.repo_path) not in out


def cut_receipt(layout: Layout) -> None:
    """Take the receipts out of a letter that was sent."""
    letter = layout.outbox_archive / "hermes-order-a.json"
    content = json.loads(letter.read_text("utf-8"))
    del content["receipts"]
    letter.write_text(json.dumps(content), "utf-8")


@pytest.mark.parametrize(
    "deed, kind",
    [
        (lambda la: (la.archive / "order-a.json").unlink(), "order_not_archived"),
        (lambda la: la.response("order-a").unlink(), "response_missing"),
        (lambda la: (la.outbox_archive / "hermes-order-a.json").unlink(), "letter_missing"),
        (cut_receipt, "receipt_missing"),
    ],
)
def test_a_file_that_was_removed(
    layout: Layout,
    capsys: pytest.CaptureFixture[str],
    deed: Callable[[Layout], None],
    kind: str,
) -> None:
    """An archived order, a response, a letter, a receipt: found by its order's name."""
    deed(layout)
    code, found = verify(capsys)
    assert code == ExitCode.FAILURE
    assert found["is_intact"]
    gaps = found["completeness"]["gaps"]
    assert [(gap["kind"], gap["subject"]) for gap in gaps] == [(kind, "order-a")]
    assert verify(capsys, "--chain-only")[0] == ExitCode.OK


@pytest.mark.parametrize("number", [1, 4, 7])
def test_a_line_that_was_touched(
    layout: Layout, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    """An edited, a removed and a moved line are each found, at their place."""
    lines = lines_of(layout)
    edited = [line.replace(b'"event_type":"', b'"event_type":"x', 1) for line in lines]
    for damaged in (
        [*lines[: number - 1], edited[number - 1], *lines[number:]],
        [*lines[: number - 1], *lines[number:]],
        [*lines[: number - 1], lines[number], lines[number - 1], *lines[number + 1 :]],
    ):
        layout.audit_log.write_bytes(b"".join(damaged))
        code, found = verify(capsys)
        assert code == ExitCode.FAILURE
        assert not found["is_intact"]
        places = (f"galaxy-audit.jsonl:{number}:", f"galaxy-audit.jsonl:{number + 1}:")
        assert any(place in fault for fault in found["faults"] for place in places)


def test_an_end_that_was_cut_off(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    """With the writers' note gone as well, only an anchor shows it: by hand, or from a file."""
    head = verify(capsys)[1]["head"]
    anchors = layout.repo_path / "anchors.txt"
    other = "f" * 64
    anchors.write_text(
        f"2026-02-02T12:00:00+00:00 8 {head} lab\n\n2026-02-02T12:00:00+00:00 9 {other} roof\n"
    )
    assert verify(capsys, "--anchor", str(anchors))[0] == ExitCode.OK
    layout.audit_log.write_bytes(b"".join(lines_of(layout)[:-1]))
    layout.audit_log.with_name("galaxy-audit.jsonl.head").unlink()
    assert verify(capsys, "--chain-only")[0] == ExitCode.OK
    for anchor in (head, str(anchors)):
        code, found = verify(capsys, "--anchor", anchor)
        assert code == ExitCode.FAILURE
        assert head in found["faults"][0]
    assert main(["audit", "verify", "--anchor", "none"]) == ExitCode.USAGE


def test_the_file_of_choice_is_asked_by_itself(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    """Hermes alone writes the head into it, and a cut-off end is found without being asked for."""
    settings = json.loads((layout.settings_folder / "config.json").read_text())
    settings["audit"] = {"anchor_file": "elsewhere/heads.txt"}
    (layout.settings_folder / "config.json").write_text(json.dumps(settings))
    assert main(["audit", "verify"]) == ExitCode.OK
    assert "no " in capsys.readouterr().err
    yesterday = datetime.now(UTC) - timedelta(days=1)

    async def live_on() -> None:
        layout.audit_log.unlink()
        layout.audit_log.with_name("galaxy-audit.jsonl.head").unlink()
        configuration = load(None)
        place = Place(configuration.settings, configuration.machine(None))
        audit = place.audit_sink()
        for number in range(3):
            await audit.record([AuditEvent(timestamp=yesterday, event_type=f"e{number}")])
        nobody = ScriptedDispatcher(place.clock(), layout.state / "agent.json")
        file = layout.repo_path / "elsewhere" / "heads.txt"
        async with watching_hermes(place, nobody, audit):
            with anyio.fail_after(60):
                while not file.exists() or not file.read_text():  # noqa: ASYNC110 - a file tells nobody
                    await anyio.sleep(0.01)

    anyio.run(live_on)
    assert main(["audit", "verify", "--chain-only"]) == ExitCode.OK
    layout.audit_log.write_bytes(b"".join(lines_of(layout)[:1]))
    layout.audit_log.with_name("galaxy-audit.jsonl.head").unlink(missing_ok=True)
    assert main(["audit", "verify", "--chain-only"]) == ExitCode.FAILURE
    assert "the end was cut off" in capsys.readouterr().err


def test_orders_of_the_original_are_told_apart(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was archived before there was a trail is counted, and nothing is asked of it."""
    content = json.loads((layout.archive / "order-a.json").read_bytes())
    for member in ("outcome", "finished_at", "started_at"):
        content.pop(member, None)
    content["acknowledged_at"] = "2026-02-02T12:00:00+00:00"
    for number in range(500):
        (layout.archive / f"old-{number}.json").write_text(json.dumps(content), "utf-8")
    code, found = verify(capsys)
    assert (code, found["completeness"]["older_orders"]) == (ExitCode.OK, 500)
    assert main(["audit", "verify"]) == ExitCode.OK
    assert "500 orders from before this trail" in capsys.readouterr().out
