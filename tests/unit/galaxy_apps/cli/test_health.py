"""`galaxy health` and `galaxy doctor`: honest, fast, and at work while everything is down."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from galaxy_adapters.audit_jsonl import JsonlAuditSink
from galaxy_adapters.presence_json import JsonPresence
from galaxy_apps import health as looking
from galaxy_apps.cli.main import main
from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.home import Home
from galaxy_apps.settings import load
from galaxy_core.domain.audit import AuditEvent
from galaxy_core.domain.health import Check
from galaxy_core.domain.operations import ChannelSign, Heartbeat
from galaxy_core.wire.layout import Layout

LINE = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] (?:[✓⚠✗] \S.*|=== .* ===)")
TOKEN = "123456789:AAaaBBbbCCccDDddEEeeFFffGGggHHhh_-x"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a project with settings and a bot, in which nothing runs."""
    home = tmp_path / ".galaxy"
    home.mkdir(mode=0o700)
    settings = {"telegram_token": TOKEN, "machines": {"lab": {}}, "dispatcher": "scripted"}
    (home / "config.json").write_text(json.dumps(settings))
    (home / "config.json").chmod(0o600)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def beat(
    folder: Path,
    *,
    age: float = 0,
    is_gateway: bool = False,
    **more: Any,  # noqa: ANN401 - members of a heartbeat
) -> None:
    """Have a daemon beat, so many seconds ago."""
    now = datetime.now(UTC) - timedelta(seconds=age)
    values: dict[str, Any] = {"status": "running", "machine": "lab", "started_at": now} | more
    heartbeat = Heartbeat(last_heartbeat_at=now, **values)
    anyio.run(JsonPresence(Layout(folder), is_gateway=is_gateway).beat, heartbeat)


def all_well(folder: Path) -> None:
    """Have both daemons beat."""
    beat(folder)
    sign = ChannelSign(name="telegram", heard_at=datetime.now(UTC))
    beat(folder, is_gateway=True, daemon="gateway", channels=(sign,))


def seen(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    """Look, and give the checks by key."""
    main(["health", "--json"])
    document = json.loads(capsys.readouterr().out)
    return {check["key"]: check for check in document["checks"]}


def test_all_is_well(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the original's form, line by line, and 0."""
    all_well(folder)
    assert main(["health"]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert all(LINE.fullmatch(line) for line in lines)
    assert lines[0].endswith("] === Galaxy Protocol Health Check ===")
    assert lines[-1].endswith("] === Health Check PASSED ===")
    text = "\n".join(lines)
    assert "✓ Hermes on lab is alive" in text
    assert "✓ The gateway is alive" in text
    assert "✓ Telegram is reachable" in text
    assert re.search(r"✓ Disk space OK \(\d+% used\)", text)
    assert Layout(folder).health_log.read_text("utf-8").splitlines() == lines


def test_all_is_down(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Within two seconds, and 1."""
    began = time.monotonic()
    assert main(["health"]) == ExitCode.FAILURE
    assert time.monotonic() - began < 2
    text = capsys.readouterr().out
    assert "✗ Hermes on lab has never run" in text
    assert "✗ The gateway has never run" in text
    assert text.endswith("=== Health Check FAILED ===\n")


def test_a_heartbeat_counts_and_no_process_name(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A minute of silence is death; of a silent gateway's channel nothing is known."""
    all_well(folder)
    beat(folder, age=60)
    sign = ChannelSign(name="telegram")
    beat(folder, age=60, is_gateway=True, daemon="gateway", channels=(sign,))
    checks = seen(capsys)
    assert checks["hermes:lab"]["level"] == checks["gateway"]["level"] == "unwell"
    assert "channel:telegram" not in checks
    assert "galaxy services logs" in checks["hermes:lab"]["remedy"]


def test_telegram_that_is_not_reached(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As the gateway says it of itself."""
    all_well(folder)
    sign = ChannelSign(name="telegram", trouble="token")
    beat(folder, is_gateway=True, daemon="gateway", channels=(sign,))
    check = seen(capsys)["channel:telegram"]
    assert check["level"] == "unwell"
    assert "@BotFather" in check["remedy"]


def test_a_clock_that_was_set_back(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sign of life from the future."""
    all_well(folder)
    beat(folder, age=-3600)
    assert seen(capsys)["clock"]["level"] == "doubtful"


def test_a_gateways_clock_that_was_set_back(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder may have no Hermes that beats."""
    all_well(folder)
    beat(folder, age=-3600, is_gateway=True)
    assert seen(capsys)["clock"]["level"] == "doubtful"


def test_secrets_that_others_can_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the command that mends it."""
    all_well(folder)
    (folder / ".galaxy" / "config.json").chmod(0o644)
    check = seen(capsys)["secrets"]
    assert check["level"] == "unwell"
    assert "chmod 600" in check["remedy"]


def test_letters_and_dead_orders(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What nobody got, and what was given up, is listed until somebody decides."""
    all_well(folder)
    layout = Layout(folder)
    for path in (layout.outbox_undeliverable, layout.archive):
        path.mkdir(parents=True)
    (layout.outbox_undeliverable / "a.json").write_text('{"message": "x"}')
    order = {"order_id": "o1", "payload": "x", "acknowledged": True, "outcome": "dead"}
    (layout.archive / "o1.json").write_text(json.dumps(order))
    checks = seen(capsys)
    assert checks["letters:lab"]["text"] == "1 letter of lab reached nobody"
    assert "galaxy order retry o1" in checks["dead:lab"]["remedy"]
    assert "galaxy order dismiss o1" in checks["dead:lab"]["remedy"]
    assert main(["order", "dismiss", "o1", "o"]) == ExitCode.OK
    assert capsys.readouterr().out == "The order o1 waits for no decision any more.\n"
    assert seen(capsys)["dead:lab"]["text"] == "No dead letters on lab"


def test_a_trail_that_was_cut_or_changed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its end is checked at each look, without reading all of it."""
    all_well(folder)
    trail = Layout(folder).audit_log

    async def write() -> None:
        sink = JsonlAuditSink(trail)
        for number in range(300):
            await sink.record([AuditEvent(timestamp=datetime.now(UTC), event_type=f"e{number}")])

    anyio.run(write)
    assert seen(capsys)["audit:lab"]["level"] == "well"
    lines = trail.read_bytes().splitlines(keepends=True)
    trail.write_bytes(b"".join(lines[:-3]))
    assert seen(capsys)["audit:lab"]["level"] == "unwell"
    trail.write_bytes(b"".join([*lines[:-2], lines[-2].replace(b"e298", b"e999"), lines[-1]]))
    check = seen(capsys)["audit:lab"]
    assert check["level"] == "unwell"
    assert "galaxy audit verify" in check["remedy"]


def test_a_look_that_hangs_holds_up_nobody(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told as what it is, and all the others are there."""
    all_well(folder)

    class Ended(BaseException):
        """Stands for the end of the process."""

    def end(code: int) -> None:
        raise Ended(code)

    async def hang(*_: object) -> None:
        await anyio.sleep_forever()

    monkeypatch.setattr(looking, "_disk", hang)
    monkeypatch.setattr("os._exit", end)
    with pytest.raises(BaseExceptionGroup) as raised:
        main(["health"])
    assert raised.group_contains(Ended, match="1", depth=1)
    text = capsys.readouterr().out
    assert "✗ The disk of lab gave no answer within 1.5 s" in text
    assert "✓ Hermes on lab is alive" in text


def test_what_cannot_be_looked_at_has_a_name_for_people(folder: Path) -> None:
    """Each look that fails or hangs is told as what it is at, not by a word of the program."""
    examination = looking.Examination(Home(load(folder / ".galaxy" / "config.json")))
    sentences = [looking._late(look, looking.LIMIT).text for look in examination._looks()]
    assert len(set(sentences)) == len(sentences) > 10
    assert all(" gave no answer within 1.5 s" in each for each in sentences)
    assert not any(":" in each for each in sentences)


def test_a_check_that_cannot_run_blames_nobody(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine the check stands still itself; what it looks at is no worse for it."""
    all_well(folder)

    async def stand_still(*_: object) -> list[Check]:
        time.sleep(1.1 * looking.LIMIT.total_seconds())  # noqa: ASYNC251 - nothing else may run
        return []

    def end(code: int) -> None:
        raise AssertionError(f"it left with {code}, as something is thought to hang")

    monkeypatch.setattr(looking, "_disk", stand_still)
    monkeypatch.setattr("os._exit", end)
    main(["health"])
    text = capsys.readouterr().out
    assert "gave no answer" not in text
    assert "✓ Hermes on lab is alive" in text


def test_the_doctor_says_what_to_type(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only what is wrong, the worst first, the settings' doubts too; the log is left alone."""
    all_well(folder)
    beat(folder, age=60)
    config = folder / ".galaxy" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"ntfy_topic": "x"}))
    config.chmod(0o644)
    main(["doctor"])
    text = capsys.readouterr().out
    numbered = re.findall(r"(?m)^\d+\. (.)", text)
    assert numbered == sorted(numbered, key="✗⚠".index)
    assert {"✗", "⚠"} == set(numbered)
    assert text.count("chmod 600") == 1
    assert "✓" not in text
    assert not Layout(folder).health_log.exists()


def test_settings_that_cannot_be_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Then nobody knows what to look at: 4, as everywhere."""
    (folder / ".galaxy" / "config.json").write_text("{")
    assert main(["health"]) == ExitCode.SETTINGS
    assert "not JSON" in capsys.readouterr().err
