"""The grammar of the command line, and the functions behind it."""

import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from galaxy_apps.cli import arguments
from galaxy_apps.cli.arguments import build_parser, parse
from galaxy_apps.cli.errors import UsageError
from galaxy_apps.cli.parsing import Parser
from galaxy_apps.daemons import LEVELS
from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.settings import DispatcherKind
from galaxy_core.domain.audit import AuditSeverity
from galaxy_core.domain.order import Priority
from galaxy_core.domain.people import Role
from galaxy_core.domain.state import OrderState
from tests.support import PROJECT_ROOT


def commands(parser: Parser, words: str = "galaxy") -> Iterator[tuple[str, Parser]]:
    """Every command with a function behind it."""
    if parser.handler is not None:
        yield words, parser
    for name, inner in parser.commands.items():
        yield from commands(inner, f"{words} {name}")


ALL = dict(commands(build_parser()))


@pytest.mark.parametrize("words", ALL)
def test_options_are_the_functions_parameters(words: str) -> None:
    """A command's options and its function are written in two places and must agree."""
    module, _, name = (ALL[words].handler or "").partition(":")
    function = getattr(import_module(module), name)
    parameters = inspect.signature(function).parameters
    assert {action.dest for action in ALL[words].actions} == set(parameters)
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in parameters.values())


@pytest.mark.parametrize("words", ALL)
def test_every_option_is_explained(words: str) -> None:
    """`--help` leaves no option without a sentence, unless its choices say it all."""
    assert ALL[words].description
    for action in ALL[words].actions:
        assert action.help or action.choices, action.dest


@pytest.mark.parametrize("words", ALL)
def test_programs_get_json_everywhere(words: str) -> None:
    """Each command has --json; completion prints a script for a shell anyway."""
    names = {action.dest for action in ALL[words].actions}
    assert ("is_json" in names) is (words != "galaxy completion")


def test_the_reference_names_every_command_option_and_exit_code() -> None:
    """docs/reference/cli.md lists all there is."""
    text = (PROJECT_ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    for words, parser in ALL.items():
        assert f"`{words}" in text, words
        for action in parser.actions:
            for option in action.option_strings:
                assert f"`{option}" in text, option
    for code in ExitCode:
        assert f"| {code.value} | `{code.name}` |" in text


def test_words_written_out_are_the_enums() -> None:
    """The grammar imports no enum, so it repeats their words."""
    assert tuple(OrderState) == arguments.STATES
    assert tuple(priority.word for priority in Priority) == arguments.PRIORITIES
    assert tuple(AuditSeverity) == arguments.SEVERITIES
    assert tuple(Role) == arguments.ROLES
    assert tuple(DispatcherKind) == arguments.DISPATCHERS
    assert arguments.LEVELS == LEVELS


def test_config_may_stand_before_and_after_the_command() -> None:
    """People put it where they think of it."""
    for line in (
        ["--config", "f.json", "order", "list"],
        ["order", "list", "--config", "f.json"],
        ["--config=x.json", "order", "list", "--config", "f.json"],
    ):
        handler, options = parse(line)
        assert handler == "galaxy_apps.cli.orders:list_orders"
        assert options["config"] == Path("f.json")
    assert parse(["order", "list"])[1]["config"] is None


def test_options_of_audit_do_not_reach_its_subcommand() -> None:
    """`galaxy audit verify` takes its own options only."""
    handler, options = parse(["audit", "verify", "--anchor", "a", "--anchor", "b"])
    assert handler == "galaxy_apps.cli.verify:verify"
    assert options == {
        "config": None,
        "machine": None,
        "anchors": ["a", "b"],
        "is_chain_only": False,
        "is_json": False,
    }


def test_a_text_that_begins_with_a_dash_needs_two() -> None:
    """What looks like an option is one, until `--` says otherwise."""
    assert parse(["order", "submit", "--", "--help me"])[1]["text"] == "--help me"
    assert parse(["order", "submit", "-"])[1]["text"] == "-"


@pytest.mark.parametrize(
    "line, complaint",
    [
        ("ordr list", "there is no command 'ordr'; did you mean \"order\"?"),
        ("order lst", "there is no command 'lst'; did you mean \"list\"?"),
        ("order list --jsn", "there is no option '--jsn' here; did you mean \"--json\"?"),
        ("order list --stat=dead", "there is no option '--stat=dead' here; did you mean"),
        ("order list more", "there is no argument 'more' here"),
        ("order list --state ded", "there is no value for --state 'ded'; did you mean \"dead\"?"),
        ("order list --limit -3", "argument --limit: '-3' is not a whole number"),
        ("order list --limit ten", "argument --limit: 'ten' is not a whole number"),
        ("order wait x --timeout nan", "argument --timeout: 'nan' is not a number of seconds"),
        ("order show", "the following arguments are required: ID"),
        ("order", "a command is missing"),
        ("", "a command is missing"),
    ],
)
def test_a_wrong_line_is_answered_with_the_nearest_word(line: str, complaint: str) -> None:
    """One sentence that says what is wrong and what was probably meant."""
    with pytest.raises(UsageError) as raised:
        parse(line.split())
    assert str(raised.value).startswith(complaint)
