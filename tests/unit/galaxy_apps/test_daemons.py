"""What the programs that run for ever have in common."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from galaxy_apps import agent, dashboard, gateway, hermes
from galaxy_apps.daemons import SWITCH_SECONDS, start_is_over
from galaxy_apps.exit_codes import ExitCode

DAEMONS = [agent.main, dashboard.main, gateway.main, hermes.main]
Main = Callable[[list[str]], int]


@pytest.mark.parametrize("main", DAEMONS)
def test_options_that_all_have(main: Main, capsys: pytest.CaptureFixture[str]) -> None:
    """Who knows one of them knows them all, and is told where the exit codes stand."""
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == ExitCode.OK
    said = capsys.readouterr().out
    for words in ("--config FILE", "--log-level {DEBUG,INFO,WARNING,ERROR}", "cli.md"):
        assert words in said, words


@pytest.mark.parametrize("main", DAEMONS)
@pytest.mark.parametrize("words", [["--nonsense"], ["--log-level", "LOUD"], ["--conf", "x"]])
def test_a_wrong_command_line(main: Main, words: list[str]) -> None:
    """It is a code of its own, which supervisors do not try again."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == ExitCode.USAGE


@pytest.mark.parametrize("main", DAEMONS)
def test_settings_that_cannot_be_used(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence that names the file, and a code which supervisors do not try again."""
    broken = tmp_path / "config.json"
    broken.write_text("{")
    assert main(["--config", str(broken)]) == ExitCode.SETTINGS
    assert str(broken) in capsys.readouterr().err


def test_what_the_start_has_made_is_not_looked_through_again() -> None:
    """A full collection stops the loop for tens of milliseconds, and would find nothing."""
    before, interval = gc.get_freeze_count(), sys.getswitchinterval()
    try:
        start_is_over()
        assert gc.get_freeze_count() > before + 1_000
        assert len(gc.get_objects()) < 1_000
    finally:
        gc.unfreeze()
        sys.setswitchinterval(interval)


def test_threads_that_compute_hand_on_soon() -> None:
    """Each system call of a claim waits for them anew, so a few milliseconds add up."""
    before = sys.getswitchinterval()
    try:
        start_is_over()
        assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)
        assert before / 10 > SWITCH_SECONDS
    finally:
        gc.unfreeze()
        sys.setswitchinterval(before)
