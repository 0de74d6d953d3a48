"""The command line as its users start it: processes of its own, on folders of their own."""

import json
import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from galaxy_apps.exit_codes import ExitCode
from galaxy_core.testing.bot_api.process import BotApiProcess
from galaxy_core.wire.layout import Layout

GALAXY = (sys.executable, "-m", "galaxy_apps.cli.main")
# Programs are started with PATH and the like, and with nothing of ours.
BASE = {
    name: value
    for name, value in os.environ.items()  # noqa: TID251
    if not name.startswith(("GALAXY_", "OPENCODE_"))
}

Result = subprocess.CompletedProcess[str]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project's folder with a machine called lab in it."""
    folder = tmp_path / "project"
    folder.mkdir()
    done = galaxy(folder, "init", "--yes", "--name", "lab", "--dispatcher", "scripted")
    assert done.returncode == ExitCode.OK, done.stderr
    return folder


def galaxy(
    folder: Path, *words: str, text: str = "", environment: Mapping[str, str] | None = None
) -> Result:
    """Run `galaxy` in a folder."""
    return subprocess.run(
        [*GALAXY, *words],
        cwd=folder,
        env=BASE | {"PWD": str(folder)} | dict(environment or {}),
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def document(result: Result) -> dict[str, Any]:
    """The one JSON document that was printed."""
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def submit(folder: Path, *words: str) -> str:
    """Hand an order in; its id."""
    done = galaxy(folder, "order", "submit", *words)
    assert done.returncode == ExitCode.OK, done.stderr
    return done.stdout.strip()


def settings_of(folder: Path) -> Path:
    """The settings file."""
    return folder / ".galaxy" / "config.json"


def change_settings(folder: Path, **changes: object) -> None:
    """Change settings."""
    raw = json.loads(settings_of(folder).read_text(encoding="utf-8"))
    settings_of(folder).write_text(json.dumps(raw | changes), encoding="utf-8")


# ---- the whole way


def test_an_order_from_submit_to_answer(project: Path) -> None:
    """What is handed in is worked off by a Hermes, and its answer is there to be read."""
    handed_in = galaxy(project, "order", "submit", "Say hello", "--json")
    first = document(handed_in)
    assert first["is_new"]
    assert "no Hermes has run" in first["warning"]
    worked = subprocess.run(
        [sys.executable, "-m", "galaxy_apps.hermes", "--once"],
        cwd=project,
        env=BASE,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert worked.returncode == ExitCode.OK, worked.stderr
    shown = document(galaxy(project, "order", "show", first["order_id"], "--json"))
    assert (shown["state"], shown["target"]) == ("succeeded", "lab")
    assert "Say hello" in shown["response"]
    waited = galaxy(project, "order", "wait", first["order_id"][:18])
    assert (waited.returncode, waited.stdout.strip()) == (ExitCode.OK, shown["response"].strip())
    trail = document(galaxy(project, "audit", "--order", first["order_id"], "--json"))["events"]
    assert [line["event_type"] for line in trail] == [
        "order_received",
        "order_claimed",
        "order_execution_started",
        "order_executed_success",
    ]
    assert galaxy(project, "audit", "verify").returncode == ExitCode.OK
    sessions = document(galaxy(project, "sessions", "list", "--json"))["sessions"]
    assert [session["conversation"] for session in sessions] == ["machine:lab"]
    assert "Hermes has been stopped" in galaxy(project, "order", "submit", "more").stderr


def test_a_hermes_that_is_told_to_stop_stops(project: Path) -> None:
    """TERM ends it with 0, and an order that was waited for is answered before."""
    hermes = subprocess.Popen(
        [sys.executable, "-m", "galaxy_apps.hermes", "--interval", "1", "--server", "http://x"],
        cwd=project,
        env=BASE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        done = galaxy(project, "order", "submit", "Say hello", "--wait", "--timeout", "50")
        assert done.returncode == ExitCode.OK, done.stderr
        assert "Say hello" in done.stdout
        hermes.terminate()
        _, log = hermes.communicate(timeout=30)
    finally:
        hermes.kill()
    assert hermes.returncode == ExitCode.OK
    events = [json.loads(line)["event"] for line in log.splitlines()]
    assert events[0] == "option.ignored"
    assert "hermes.started" in events
    assert events[-1] == "hermes.stopped"


# ---- orders


def test_every_option_of_an_order_is_in_its_file(project: Path) -> None:
    """What is asked for on the command line is what lies in the folder."""
    (project / "notes.txt").write_text("x", encoding="utf-8")
    before = submit(project, "first")
    order_id = submit(
        project,
        *("Do it", "--session", "s", "--file", "notes.txt", "--priority", "urgent"),
        *("--agent", "plan", "--model", "a/b", "--project", "p", "--after", before[:20]),
        *("--not-before", "2h", "--expires", "2030-01-01T00:00+00:00", "--run-timeout", "60"),
        *("--id", "mine"),
    )
    assert order_id == "mine"
    (path,) = [
        path
        for path in Layout(project).orders.glob("*.json")
        if json.loads(path.read_text(encoding="utf-8"))["order_id"] == "mine"
    ]
    order = json.loads(path.read_text(encoding="utf-8"))
    assert order["type"] == "galaxy_order"
    assert (order["payload"], order["target"], order["session"]) == ("Do it", "lab", "s")
    assert (order["priority"], order["agent"], order["model"]) == ("urgent", "plan", "a/b")
    assert (order["project"], order["after"], order["timeout_s"]) == ("p", [before], 60)
    assert order["media"] == [
        {"path": str(project / "notes.txt"), "name": "notes.txt", "mime": "text/plain"}
    ]
    shown = document(galaxy(project, "order", "show", "mine", "--json"))
    assert shown["expires_at"] == "2030-01-01T00:00:00+00:00"
    again = document(galaxy(project, "order", "submit", "first", "--id", before, "--json"))
    assert again["is_new"] is (again["order_id"] != before)


@pytest.mark.parametrize("words", [("-",), ()])
def test_standard_input_arrives_byte_for_byte(project: Path, words: tuple[str, ...]) -> None:
    """What is piped in is the order's text, its last line break included."""
    text = 'Zeile 1\n\t"短い" \\ 🚀\n'
    done = galaxy(project, "order", "submit", *words, "--json", text=text)
    order_id = document(done)["order_id"]
    assert document(galaxy(project, "order", "show", order_id, "--json"))["payload"] == text


def test_the_folder_need_not_be_the_current_one(project: Path, tmp_path: Path) -> None:
    """From below the project, and from elsewhere with --config or GALAXY_CONFIG."""
    order_id = submit(project, "one")
    below = project / "a" / "b"
    below.mkdir(parents=True)
    config = str(settings_of(project))
    for done in (
        galaxy(below, "order", "list", "--json"),
        galaxy(tmp_path, "--config", config, "order", "list", "--json"),
        galaxy(tmp_path, "order", "list", "--json", environment={"GALAXY_CONFIG": config}),
    ):
        assert [order["order_id"] for order in document(done)["orders"]] == [order_id]


def test_cancel_ends_a_waiting_order_without_a_hermes(project: Path) -> None:
    """Response, letter, archive and trail are there when the command returns."""
    order_id = submit(project, "never mind")
    done = document(galaxy(project, "order", "cancel", order_id, "--reason", "why", "--json"))
    assert done == {"order_id": order_id, "result": "ended", "state": "cancelled"}
    layout = Layout(project)
    assert layout.response(order_id).exists()
    assert (layout.archive / f"{order_id}.json").exists()
    assert (layout.outbox / f"hermes-{order_id}.json").exists()
    assert galaxy(project, "order", "cancel", order_id).returncode == ExitCode.OK
    waited = galaxy(project, "order", "wait", order_id)
    assert waited.returncode == ExitCode.NOT_SUCCEEDED
    assert "cancelled" in waited.stdout
    listed = document(galaxy(project, "order", "list", "--state", "cancelled", "--json"))
    assert [order["order_id"] for order in listed["orders"]] == [order_id]
    assert document(galaxy(project, "order", "list", "--state", "dead", "--json"))["orders"] == []


def test_retry_hands_an_ended_order_in_again(project: Path) -> None:
    """It is a new order with the old one's text; a second retry is the same one."""
    order_id = submit(project, "try me")
    assert galaxy(project, "order", "retry", order_id).returncode == ExitCode.FAILURE
    galaxy(project, "order", "cancel", order_id)
    retried = document(galaxy(project, "order", "retry", order_id, "--json"))
    shown = document(galaxy(project, "order", "show", retried["new_order_id"], "--json"))
    assert (shown["state"], shown["payload"]) == ("pending", "try me")
    assert document(galaxy(project, "order", "retry", order_id, "--json")) == retried


def test_a_wait_that_is_over_says_how_to_go_on(project: Path) -> None:
    """The order is not touched; the exit code tells a script."""
    done = galaxy(project, "order", "submit", "later", "--wait", "--timeout", "0.1")
    assert done.returncode == ExitCode.TIMED_OUT
    assert done.stdout == ""
    assert "galaxy order wait" in done.stderr
    assert "no Hermes has run" in done.stderr


# ---- trail and settings


def test_the_trail_is_shown_as_asked(project: Path) -> None:
    """The newest N in order, by severity, type, order and time; for people under their header."""
    ids = [submit(project, f"number {n}") for n in range(2)]
    for order_id in ids:
        galaxy(project, "order", "cancel", order_id)

    def types(*words: str) -> list[str]:
        events = document(galaxy(project, "audit", "--json", *words))["events"]
        return [f"{event['order_id'] == ids[1]:d} {event['event_type']}" for event in events]

    assert types("--limit", "2") == ["1 order_claimed", "1 order_cancelled"]
    assert types("--type", "order_cancelled") == ["0 order_cancelled", "1 order_cancelled"]
    assert len(types("--order", ids[0])) == 4
    assert len(types("--severity", "warning")) == 4
    assert types("--since", "2030-01-01") == []
    assert len(types("--since", "1h")) == 8
    text = galaxy(project, "audit", "--limit", "1").stdout.splitlines()
    assert text[0] == "Galaxy Protocol Audit Report - 1 event"
    assert re.match(r"⚠️  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d  order_cancelled  .*reason=", text[1])


def test_following_the_trail_prints_json_lines(project: Path) -> None:
    """What was is printed, then what comes; each line is whole when it is printed."""
    galaxy(project, "order", "cancel", submit(project, "one"))
    process = subprocess.Popen(
        [*GALAXY, "audit", "--follow", "--json", "--type", "order_cancelled"],
        cwd=project,
        env=BASE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event_type"] == "order_cancelled"
        second = submit(project, "two")
        galaxy(project, "order", "cancel", second)
        assert json.loads(process.stdout.readline())["order_id"] == second
        process.send_signal(2)
        assert process.wait(30) == ExitCode.INTERRUPTED
    finally:
        process.kill()
        process.communicate()


def test_a_changed_trail_is_found(project: Path) -> None:
    """`audit verify` fails for an edited line, and for a head that is no longer there."""
    galaxy(project, "order", "cancel", submit(project, "one"))
    good = document(galaxy(project, "audit", "verify", "--json"))
    assert good["is_intact"]
    assert good["lines"] == 4
    anchored = galaxy(project, "audit", "verify", "--anchor", good["head"])
    assert anchored.returncode == ExitCode.OK
    assert galaxy(project, "audit", "verify", "--anchor", "0" * 64).returncode == ExitCode.FAILURE
    log = Layout(project).audit_log
    log.write_bytes(log.read_bytes().replace(b"order_claimed", b"order_clamied"))
    bad = galaxy(project, "audit", "verify")
    assert bad.returncode == ExitCode.FAILURE
    assert "NOT intact" in bad.stdout


def test_wrong_settings_are_listed_for_every_command(project: Path) -> None:
    """All problems with their paths, no traceback, and nothing is done."""
    change_settings(project, workers=0, dispatcher="opencode", warkers=1)
    for words in (("order", "list"), ("order", "submit", "x"), ("config", "check")):
        done = galaxy(project, *words)
        assert (done.returncode, done.stdout) == (ExitCode.SETTINGS, "")
        for sentence in ("workers: must be at least 1", "dispatcher: must be one of", "warkers: "):
            assert sentence in done.stderr
    checked = galaxy(project, "config", "check", "--json")
    assert checked.returncode == ExitCode.SETTINGS
    assert len(document(checked)["problems"]) == 3


def test_settings_are_shown_without_secrets(project: Path) -> None:
    """`config show` has what holds, the environment included, and no secret in any form."""
    token = "123456789:AAaaBBbbCCccDDddEEeeFFffGGggHHhh_-x"
    change_settings(project, telegram_token=token)
    settings_of(project).chmod(0o644)
    for words in (("config", "show"), ("config", "show", "--json")):
        done = galaxy(project, *words, environment={"GALAXY_WORKERS": "7"})
        assert done.returncode == ExitCode.OK
        assert token not in done.stdout
        assert "********" in done.stdout
    assert document(done)["settings"]["workers"] == 7
    checked = galaxy(project, "config", "check")
    assert (checked.returncode, "chmod 600" in checked.stderr) == (ExitCode.OK, True)
    strict = galaxy(project, "config", "check", "--strict")
    assert strict.returncode == ExitCode.SETTINGS


def test_init_makes_a_project_and_leaves_the_rest_alone(tmp_path: Path) -> None:
    """Private settings, folders, and a git that ignores them in this clone only."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    folder = tmp_path / "sub dir"
    folder.mkdir()
    made = document(galaxy(folder, "init", "--name", "lab", "--json"))
    assert made["machine"] == "lab"
    assert settings_of(folder).stat().st_mode & 0o777 == 0o600
    assert (folder / ".galaxy").stat().st_mode & 0o777 == 0o700
    assert Layout(folder).orders.is_dir()
    exclude = tmp_path / ".git" / "info" / "exclude"
    assert "/sub dir/.galaxy/" in exclude.read_text(encoding="utf-8").splitlines()
    status = subprocess.run(
        ["git", "status", "--porcelain"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert status.stdout == ""
    before = settings_of(folder).read_bytes(), exclude.read_bytes()
    assert galaxy(folder, "init", "--name", "other").returncode == ExitCode.FAILURE
    assert (settings_of(folder).read_bytes(), exclude.read_bytes()) == before
    assert galaxy(folder, "config", "check").returncode == ExitCode.OK


def answer_on_terminal(folder: Path, words: list[str], typed: str, **more: str) -> tuple[int, str]:
    """Run a command on a terminal on which that is typed; its exit code and what it showed."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*GALAXY, *words], cwd=folder, env=BASE | more, stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    os.write(master, typed.encode())
    shown = b""
    while select.select([master], [], [], 30)[0]:
        try:
            shown += os.read(master, 4096)
        except OSError:  # the terminal's other side was closed: the command has ended
            break
    os.close(master)
    return process.wait(30), shown.decode(errors="replace")


def test_init_asks_on_a_terminal(tmp_path: Path) -> None:
    """An empty answer takes what stands in brackets; a wrong token is asked for again."""
    code, shown = answer_on_terminal(tmp_path, ["init"], "\nroof\nnonsense\n\n")
    assert code == ExitCode.OK, shown
    assert "That is no token" in shown
    written = json.loads(settings_of(tmp_path).read_text(encoding="utf-8"))
    assert written["default_machine"] == "roof"
    assert written["dispatcher"] == "opencode-server"
    assert "telegram_token" not in written


def test_init_checks_the_token_with_telegram(tmp_path: Path) -> None:
    """One that is known is kept and its bot named; any other is refused, on a terminal too."""
    with BotApiProcess(tmp_path, keeps_state=False) as telegram:
        here = {"GALAXY_TELEGRAM_BASE_URL": telegram.base_url}
        one, two = tmp_path / "one", tmp_path / "two"
        one.mkdir()
        two.mkdir()
        wrong = "123456789:AAaaBBbbCCccDDddEEeeFFffGGggHHhh_-x"
        words = ("init", "--yes", "--path", str(one), "--machine", "lab", "--telegram-token")
        done = galaxy(tmp_path, *words, wrong, environment=here)
        assert done.returncode == ExitCode.SETTINGS
        assert "does not know this token" in done.stderr
        assert wrong not in done.stdout + done.stderr
        assert not (one / ".galaxy").exists()
        made = document(galaxy(tmp_path, *words, telegram.token, "--json", environment=here))
        assert made["telegram_bot"].startswith("@")
        assert json.loads(settings_of(one).read_text())["telegram_token"] == telegram.token
        typed = f"\n\n{wrong}\n{telegram.token}\n"
        code, shown = answer_on_terminal(two, ["init"], typed, **here)
        assert code == ExitCode.OK, shown
        assert f"write /start to {made['telegram_bot']}" in shown
        assert json.loads(settings_of(two).read_text())["telegram_token"] == telegram.token


def test_init_keeps_a_token_that_cannot_be_checked(tmp_path: Path) -> None:
    """Without a network the set-up goes on, with a warning that does not show the token."""
    token = "123456789:AAaaBBbbCCccDDddEEeeFFffGGggHHhh_-x"
    nowhere = {"GALAXY_TELEGRAM_BASE_URL": "http://127.0.0.1:1/bot"}
    done = galaxy(tmp_path, "init", "--yes", "--telegram-token", token, environment=nowhere)
    assert done.returncode == ExitCode.OK
    assert "cannot be reached" in done.stderr
    assert token not in done.stdout + done.stderr
    assert json.loads(settings_of(tmp_path).read_text())["telegram_token"] == token


# ---- outputs of every kind


def test_a_reader_that_goes_away_ends_the_command_quietly(project: Path) -> None:
    """`galaxy ... | head -1`: no traceback, and the code of a broken pipe."""
    for n in range(3):
        submit(project, f"{n}" + "x" * 9_000)
    # The reader is gone before anything is written, however large the pipe is.
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*GALAXY, "order", "list"],
        cwd=project,
        env=BASE,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (ExitCode.BROKEN_PIPE, "")


def test_closed_outputs_do_not_stop_a_command(project: Path) -> None:
    """From a bare environment, without any standard stream, an order is still accepted."""
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *GALAXY, "order", "submit", "x"],
        cwd=project,
        env=BASE,
        check=False,
    )
    assert done.returncode == ExitCode.OK
    assert len(list(Layout(project).orders.glob("*.json"))) == 1


def test_an_ascii_output_gets_its_table(project: Path) -> None:
    """LANG=C shows question marks in place of what it does not know."""
    submit(project, "短い")
    done = galaxy(project, "order", "list", environment={"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, "??" in done.stdout) == (ExitCode.OK, True)


# ---- starting fast

HEAVY = ("anyio", "asyncio", "attrs", "cattrs", "httpx", "psutil", "structlog", "tenacity", "rich")


def modules_of(folder: Path, *words: str) -> set[str]:
    """What a command imports, by top-level name, adapters in full."""
    script = (
        "import contextlib, sys\n"
        "from galaxy_apps.cli.main import main\n"
        "with contextlib.suppress(SystemExit):\n"
        "    main(sys.argv[1:])\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        cwd=folder,
        env=BASE,
        capture_output=True,
        text=True,
        check=True,
    )
    names = done.stderr.splitlines()[-1].split()
    assert "galaxy_apps.cli.main" in names
    return {n.split(".")[0] for n in names} | {n for n in names if n.startswith("galaxy_")}


def test_help_imports_nothing_heavy(project: Path) -> None:
    """Start-up is imports: help needs argparse alone."""
    for words in (["--help"], ["order", "submit", "--help"]):
        modules = modules_of(project, *words)
        assert not modules & set(HEAVY)
        assert "galaxy_core" not in modules


@pytest.mark.parametrize("words", [("order", "list"), ("order", "show", "x"), ("audit",)])
def test_reading_commands_import_no_services(project: Path, words: tuple[str, ...]) -> None:
    """Looking at orders needs neither HTTP nor a log nor the agents' adapters."""
    modules = modules_of(project, *words)
    assert not modules & {"cattrs", "httpx", "psutil", "structlog", "tenacity", "rich", "difflib"}
    assert not [name for name in modules if name.startswith("galaxy_core.services")]
    assert not [name for name in modules if "dispatch" in name]


def test_listing_orders_imports_nothing_of_running_them(project: Path) -> None:
    """The events of a run are thirty classes, each of which takes its time to make."""
    modules = modules_of(project, "order", "list")
    running = {"galaxy_core.domain.run", "galaxy_core.domain.delivery"}
    assert not modules & {*running, "galaxy_adapters.queue_filesystem._accept"}
