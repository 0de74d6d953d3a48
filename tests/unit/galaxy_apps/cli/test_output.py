"""What is printed, on terminals of every kind and on none."""

import io
import json
import os
import sys

import pytest

from galaxy_apps.cli import output
from galaxy_apps.cli.output import print_fields, print_json, print_table, safe, shortened, width_of

HEADS = ("ORDER", "STATE", "WHAT")
ROWS = [
    ("order-1", "failed", "Explain the architecture of this repository\nand its tests"),
    ("order-2", "dead", "短い注文 \x1b[31mred\x07"),
]


class Terminal(io.StringIO):
    """Standard output that is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        """Say so."""
        return True


def open_terminal(monkeypatch: pytest.MonkeyPatch, columns: int = 40) -> Terminal:
    """Print to a terminal with colours from now on.

    No fixture: between the phases of a test pytest puts its own output in place.
    """
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return stream


def without_colours(text: str) -> str:
    """The text as a person sees it."""
    for code in ("1", "31"):
        text = text.replace(f"\x1b[{code}m", "")
    return text.replace("\x1b[0m", "")


def test_a_table_fits_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """No line wraps: the elastic column gives way, wide characters count twice."""
    terminal = open_terminal(monkeypatch)
    print_table(HEADS, ROWS, elastic=2, styles={1: {"failed": output.RED}})
    lines = without_colours(terminal.getvalue()).splitlines()
    assert len(lines) == 3
    assert [line.index("WHAT") for line in lines[:1]] == [17]
    assert all(width_of(line) <= 40 for line in lines)
    assert lines[1].endswith("…")
    assert "\x1b[31mfailed\x1b[0m" in terminal.getvalue()


def test_a_terminal_that_is_too_narrow_still_gets_the_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Better a wrapped line than a crash."""
    terminal = open_terminal(monkeypatch, columns=5)
    print_table(HEADS, ROWS, elastic=2)
    assert "order-1" in terminal.getvalue()


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_can_be_refused(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    """NO_COLOR and TERM=dumb are obeyed."""
    terminal = open_terminal(monkeypatch)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    print_table(HEADS, ROWS, elastic=2, styles={1: {"failed": output.RED}})
    assert "\x1b" not in terminal.getvalue()


def test_a_pipe_gets_everything_in_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    """For grep and awk nothing is cut and nothing coloured; each order is one line."""
    print_table(HEADS, ROWS, elastic=2, styles={1: {"failed": output.RED}})
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].endswith("Explain the architecture of this repository and its tests")
    assert len(lines) == 3
    assert "\x1b" not in "".join(lines)


def test_an_answer_cannot_steer_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent's words may hold anything; escape sequences stay words. A pipe gets them as is."""
    assert safe("a\x1b[2J") == "a\x1b[2J"
    open_terminal(monkeypatch)
    assert safe("a\x1b]0;x\x07\n\tb") == "a\ufffd]0;x\ufffd\n\tb"


@pytest.mark.parametrize(
    "text, cells, expected",
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("短い注文", 5, "短い…"),
        ("e\u0301e\u0301", 2, "e\u0301e\u0301"),
    ],
)
def test_texts_are_cut_by_cells(text: str, cells: int, expected: str) -> None:
    """Wide characters take two cells, combining ones none."""
    assert shortened(text, cells) == expected
    assert width_of(expected) <= cells


def test_fields_without_a_value_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """People see what there is to see; zero is something."""
    print_fields({"order id": "one", "agent": None, "media": [], "attempts": 0})
    assert capsys.readouterr().out == "order id  one\nattempts  0\n"


def test_json_is_one_document_in_any_script(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is in it, it can be read back."""
    document = {"a": "ö\n短\x1b", "b": [1, None]}
    print_json(document)
    assert json.loads(capsys.readouterr().out) == document


def test_an_output_that_cannot_show_a_character_shows_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """LANG=C is no reason to fail."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    output.write("✅ done")
    output.flush()
    assert raw.getvalue() == b"? done" + os.linesep.encode()


def test_closed_outputs_swallow_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Started with >&- a command does its work and says nothing."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    output.write("x")
    output.warn("x")
    output.print_json_line({})
    print_table(HEADS, ROWS, elastic=2)
