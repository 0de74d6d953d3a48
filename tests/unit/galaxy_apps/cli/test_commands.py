"""Commands, run in this process: what they say when they cannot do what is asked."""

import json
import subprocess
from pathlib import Path

import pytest

from galaxy_apps.cli.main import main
from galaxy_apps.exit_codes import ExitCode
from galaxy_core.domain.response import Outcome
from galaxy_core.wire.layout import Layout


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restored_logging: None) -> Path:
    """The current folder is a project with a machine called lab; the log is put back after it."""
    for name in ("GALAXY_CONFIG", "GALAXY_WORKERS", "GALAXY_OPENCODE_BIN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    assert main(["init", "--yes", "--name", "lab", "--dispatcher", "scripted"]) == ExitCode.OK
    return tmp_path


@pytest.mark.parametrize(
    "words, code, sentence",
    [
        (("order", "submit", " "), ExitCode.USAGE, "The order is empty"),
        (("order", "submit", "x" * 10_001), ExitCode.USAGE, "10,001 characters"),
        (("order", "submit", "x", "--file", "none"), ExitCode.USAGE, "there is no file none"),
        (("order", "submit", "x", "--id", "../x"), ExitCode.USAGE, "cannot be an order's id"),
        (("order", "submit", "x", "--not-before", "soon"), ExitCode.USAGE, "is not a time"),
        (("order", "submit", "x", "--expires", "2020-01-01"), ExitCode.USAGE, "has passed"),
        (("order", "submit", "x", "--after", "none"), ExitCode.NOT_FOUND, "no order 'none'"),
        (("order", "submit", "x", "--machine", "roof"), ExitCode.SETTINGS, "no machine 'roof'"),
        (("order", "show", "none"), ExitCode.NOT_FOUND, "There is no order 'none'"),
        (("order", "wait", "none"), ExitCode.NOT_FOUND, "There is no order 'none'"),
        (("order", "cancel", "none"), ExitCode.NOT_FOUND, "There is no order 'none'"),
        (("order", "retry", "none"), ExitCode.NOT_FOUND, "There is no order 'none'"),
        (("order", "dismiss", "none"), ExitCode.NOT_FOUND, "There is no order 'none'"),
        (("sessions", "reset", "none"), ExitCode.NOT_FOUND, "no session of 'none'"),
        (("audit", "--since", "x"), ExitCode.USAGE, "--since: 'x' is not a time"),
        (("ordre",), ExitCode.USAGE, 'did you mean "order"'),
        (("init",), ExitCode.FAILURE, "is there already"),
        (("init", "none"), ExitCode.USAGE, "there is no folder"),
    ],
)
def test_failures_are_one_sentence_and_a_code(
    project: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: ExitCode,
    sentence: str,
) -> None:
    """No traceback, nothing on standard output, and the reader knows what to do."""
    capsys.readouterr()
    assert main(words) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert sentence in err
    assert err.startswith("galaxy: ")
    assert len(err.splitlines()) == 1
    assert not list(Layout(project).orders.glob("*.json"))


@pytest.mark.parametrize(
    "line, offered",
    [
        ("galaxy or", {"order"}),
        (
            "galaxy order ",
            {"submit", "list", "show", "wait", "answer", "cancel", "retry", "dismiss", "--help"},
        ),
        ("galaxy --config f order submit --pri", {"--priority"}),
        ("galaxy order submit --priority u", {"urgent"}),
        ("galaxy order list --state d", {"dead"}),
        ("galaxy audit --severity cri", {"critical"}),
        ("galaxy order submit --session x", set()),
        ("galaxy completion f", {"fish"}),
    ],
)
def test_bash_completes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, offered: set[str]
) -> None:
    """The script that is printed works in a real bash."""
    main(["completion", "bash"])
    (tmp_path / "complete.sh").write_text(
        capsys.readouterr().out
        + 'read -ra COMP_WORDS <<<"$1"; [[ "$1" == *" " ]] && COMP_WORDS+=("")\n'
        + "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _galaxy; printf '%s\\n' \"${COMPREPLY[@]}\"\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        ["bash", tmp_path / "complete.sh", line], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) == offered


def test_fish_gets_a_line_for_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Commands, options and their explanations are all in the script."""
    main(["completion", "fish"])
    script = capsys.readouterr().out
    assert "-a submit -d 'Hand an order in.'" in script
    assert "-l severity -x -a 'info warning error critical'" in script
    assert script.replace(r"\'", "").count("'") % 2 == 0


def test_outcomes_have_a_code(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every way in which an order can end is a success or NOT_SUCCEEDED, nothing in between."""
    order_id = "one"
    main(["order", "submit", "--id", order_id, "Do it"])
    main(["order", "cancel", order_id])
    path = Layout(project).archive / f"{order_id}.json"
    raw = json.loads(path.read_text(encoding="utf-8"))
    for outcome in Outcome:
        path.write_text(json.dumps(raw | {"outcome": outcome.value}), encoding="utf-8")
        expected = ExitCode.OK if outcome is Outcome.SUCCEEDED else ExitCode.NOT_SUCCEEDED
        assert main(["order", "wait", order_id]) == expected


def test_an_id_may_be_shortened_while_it_is_clear(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A beginning that several orders have is refused, with some of them; a whole id never is."""
    for order_id in ("one", "one-more", "two"):
        main(["order", "submit", "--id", order_id, "Do it"])
    capsys.readouterr()
    assert main(["order", "show", "tw", "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["order_id"] == "two"
    assert main(["order", "show", "one", "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["order_id"] == "one"
    assert main(["order", "show", "on"]) == ExitCode.USAGE
    assert "2 orders begin with 'on'" in capsys.readouterr().err


def test_projects_of_the_settings_are_known(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt project would quietly run in the wrong folder."""
    path = project / ".galaxy" / "config.json"
    raw = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(raw | {"projects": {"site": {}}}), encoding="utf-8")
    capsys.readouterr()
    assert main(["order", "submit", "x", "--project", "siet"]) == ExitCode.USAGE
    assert 'did you mean "site"?' in capsys.readouterr().err
    assert main(["order", "submit", "x", "--project", "site"]) == ExitCode.OK


def test_a_full_disk_is_said_in_a_sentence(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that cannot be written is its own exit code, and no traceback."""
    orders = Layout(project).orders
    orders.rmdir()
    orders.write_text("a file where the folder should be", encoding="utf-8")
    capsys.readouterr()
    assert main(["order", "submit", "x"]) == ExitCode.NO_STORAGE
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
