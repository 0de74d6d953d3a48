"""What the grammar of the command line is made of: a parser, and options that many have."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from galaxy_apps.cli.errors import UsageError, nearest

COMMAND = "parsed_command"
"""Where the parsed options keep the parser of the command that was given."""

_WRONG_CHOICE = re.compile(r"argument (.+): invalid choice: '?(.*?)'? \(choose from (.*)\)")


class Parser(argparse.ArgumentParser):
    """argparse with one-sentence errors, which remembers what belongs to its command."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401  argparse's own
        self.handler: str | None = None
        """`module:function` of the command; None for a group of commands."""
        self.actions: list[argparse.Action] = []
        """The command's own options and arguments; their names are the function's parameters."""
        self.commands: Mapping[str, Parser] = {}
        """Commands below this one."""
        super().__init__(allow_abbrev=False, add_help=False, **options)
        super().add_argument("-h", "--help", action="help", help="Show this help and exit.")
        self.set_defaults(**{COMMAND: self})

    def add_argument(self, *names: Any, **options: Any) -> argparse.Action:  # noqa: ANN401
        """Add an option, and remember it."""
        action = super().add_argument(*names, **options)
        self.actions.append(action)
        return action

    def error(self, message: str) -> NoReturn:
        """Leave the printing to `main`, and name the word that was probably meant."""
        choice = _WRONG_CHOICE.fullmatch(message)
        if choice is not None:
            what, word, known = choice.groups()
            words = known.replace("'", "").split(", ")
            noun = "command" if what == "COMMAND" else f"value for {what}"
            message = f"there is no {noun} {word!r}{nearest(word, words)}"
        raise UsageError(message, self.prog)


def commands_of(parser: Parser) -> Any:  # noqa: ANN401  argparse's type is private
    """Let commands stand below the parser; what `add_command` takes."""
    group = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=Parser)
    parser.commands = group.choices
    return group


def add_command(group: Any, name: str, handler: str, help_: str) -> Parser:  # noqa: ANN401
    """Add a command; `handler` is `module:function` of this package."""
    parser: Parser = group.add_parser(name, help=help_, description=help_)
    parser.handler = f"galaxy_apps.cli.{handler}"
    return parser


def config_option(parser: argparse.ArgumentParser, *, default: object = argparse.SUPPRESS) -> None:
    """Let people name the settings file."""
    # Before and after the command's name; a missing one after it must not undo one before it.
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        default=default,
        help="The settings file; default: the nearest .galaxy/config.json upwards.",
    )


def machine_option(parser: argparse.ArgumentParser) -> None:
    """Let people name the machine, and the settings file."""
    config_option(parser)
    parser.add_argument(
        "--machine", metavar="NAME", help="The machine meant; default: the one that is here."
    )


def json_option(parser: argparse.ArgumentParser, what: str = "one JSON document") -> None:
    """Let people ask for JSON."""
    parser.add_argument("--json", action="store_true", dest="is_json", help=f"Print {what}.")


def seconds_option(parser: argparse.ArgumentParser, option: str, help_: str) -> None:
    """Add an option that takes a duration."""
    parser.add_argument(option, metavar="SECONDS", type=_number_of_seconds, help=help_)


def _number_of_seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:  # noqa: PLR2004  thirty years; refuses nan and inf too
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value


def whole_number(text: str) -> int:
    """Read a number of things."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def address_options(parser: argparse.ArgumentParser) -> None:
    """Let people say where pages are served."""
    parser.add_argument(
        "--port",
        metavar="N",
        type=_port_number,
        default=5000,
        help="TCP port (5000); 0: a free one.",
    )
    parser.add_argument("--host", metavar="ADDRESS", help="Where to listen (settings: 127.0.0.1).")


def _port_number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65_535:  # noqa: PLR2004  TCP's
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (0 to 65535)")
    return int(text)
