"""The grammar of the command line: every command, its options, and the function behind it.

Nothing but argparse is imported for it.  Each command names its function as `module:function`; it
is imported when the command is given, and called with the options as keyword arguments (a test
compares their names), so that `galaxy --help` stays a matter of milliseconds.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from galaxy_apps.cli.errors import UsageError, nearest
from galaxy_apps.cli.parsing import (
    COMMAND,
    Parser,
    add_command,
    address_options,
    commands_of,
    config_option,
    json_option,
    machine_option,
    seconds_option,
    whole_number,
)

STATES = ("pending", "claimed", "running", "succeeded", "failed", "cancelled", "expired", "dead")
PRIORITIES = ("low", "normal", "high", "urgent")
SEVERITIES = ("info", "warning", "error", "critical")
DISPATCHERS = ("opencode-server", "opencode-cli", "scripted")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
ROLES = ("owner", "operator", "viewer")
SHELLS = ("bash", "zsh", "fish")
# Written out, since the enums they stand for cost an import; a test compares them.


def build_parser() -> Parser:
    """The whole command line."""
    parser = Parser(
        prog="galaxy",
        description="Hand orders to coding agents, watch them, and see what was done.",
        epilog="Exit codes and examples: docs/reference/cli.md.",
    )
    parser.add_argument("--version", action="store_true", help="Show the version and exit.")
    config_option(parser, default=None)
    commands = commands_of(parser)
    _add_up(commands)
    _add_init(commands)
    _add_order(commands)
    _add_audit(commands)
    _add_sessions(commands)
    _add_people(commands)
    _add_config(commands)
    _add_health(commands)
    _add_services(commands)
    _add_maintenance(commands)
    _add_completion(commands)
    version = add_command(commands, "version", "about:version", "Show the version.")
    json_option(version)
    return parser


def _add_up(commands: Any) -> None:  # noqa: ANN401
    parser = add_command(
        commands, "up", "up:up", "Run everything on this host, and say which address to open."
    )
    config_option(parser)
    address_options(parser)
    parser.add_argument(
        "--no-browser", action="store_true", dest="is_silent", help="Open no browser."
    )
    parser.add_argument(
        "--demo",
        action="store_true",
        dest="is_demo",
        help="In a sample project, with a scripted model in place of a real one.",
    )
    parser.add_argument(
        "--log-level",
        choices=LEVELS,
        help="WARNING on a terminal, else INFO, if not given.",
    )
    json_option(parser, "one JSON document with the address once it is served")


def _add_init(commands: Any) -> None:  # noqa: ANN401
    parser = add_command(
        commands, "init", "init:init", "Write .galaxy/config.json and make the folders."
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, metavar="FOLDER", help="The project; default: this folder."
    )
    parser.add_argument("--path", metavar="FOLDER", type=Path, help="The same, as an option.")
    parser.add_argument(
        "--machine",
        "--name",
        metavar="NAME",
        dest="name",
        help="The machine's name; default: this host's.",
    )
    parser.add_argument(
        "--telegram-token",
        metavar="TOKEN",
        help="What @BotFather gave; it is checked. Default: no Telegram.",
    )
    parser.add_argument("--dispatcher", choices=DISPATCHERS, help="Who carries orders out.")
    parser.add_argument("--model", metavar="MODEL", help="The agent's model, provider/model.")
    parser.add_argument("--yes", action="store_true", help="Ask nothing; take the defaults.")
    json_option(parser)


def _add_order(commands: Any) -> None:  # noqa: ANN401
    group = commands_of(commands.add_parser("order", help="Hand in, watch and cancel orders."))
    submit = add_command(group, "submit", "submit:submit", "Hand an order in.")
    submit.add_argument(
        "text", nargs="?", metavar="TEXT", help="What is to be done; - or none: standard input."
    )
    machine_option(submit)
    submit.add_argument("--session", metavar="KEY", help="The conversation it belongs to.")
    submit.add_argument(
        "--file",
        metavar="FILE",
        dest="files",
        action="append",
        type=Path,
        help="A file that goes with it; may be given again.",
    )
    submit.add_argument("--priority", choices=PRIORITIES, default="normal")
    submit.add_argument("--agent", metavar="NAME", help="The agent that is to do it.")
    submit.add_argument("--model", metavar="MODEL", help="The model, provider/model.")
    submit.add_argument("--project", metavar="NAME", help="A project of the settings.")
    submit.add_argument(
        "--after",
        metavar="ID",
        action="append",
        help="An order that must have succeeded first; may be given again.",
    )
    submit.add_argument(
        "--not-before", metavar="TIME", help="When it may begin: ISO 8601, or 30m, 2h, 1d."
    )
    submit.add_argument(
        "--expires", metavar="TIME", help="By when it must have begun; like --not-before."
    )
    submit.add_argument("--id", metavar="ID", dest="order_id", help="Its id; default: a new one.")
    seconds_option(submit, "--run-timeout", "How long the agent may work on it.")
    submit.add_argument(
        "--wait", action="store_true", dest="is_waiting", help="Wait for the answer and print it."
    )
    seconds_option(submit, "--timeout", "With --wait: how long; the order goes on after that.")
    json_option(submit)

    list_ = add_command(group, "list", "orders:list_orders", "Show the newest orders.")
    machine_option(list_)
    list_.add_argument(
        "--state",
        dest="states",
        choices=STATES,
        action="append",
        help="Only orders in this state; may be given again.",
    )
    list_.add_argument(
        "--limit", type=whole_number, default=20, metavar="N", help="At most N (20)."
    )
    json_option(list_)

    show = add_command(group, "show", "orders:show", "Show one order and its answer.")
    _order(show)

    wait = add_command(group, "wait", "orders:wait", "Wait for an order's end; print its answer.")
    _order(wait)
    seconds_option(wait, "--timeout", "How long; the order goes on after that.")

    cancel = add_command(group, "cancel", "orders:cancel", "Have an order end as cancelled.")
    _order(cancel)
    cancel.add_argument("--reason", metavar="TEXT", default="", help="Why; goes on record.")
    cancel.add_argument(
        "--wait", action="store_true", dest="is_waiting", help="Wait until it has ended."
    )
    seconds_option(cancel, "--timeout", "With --wait: how long.")

    answer = add_command(
        group, "answer", "answer:answer", "Show what an agent wants to know, or answer it."
    )
    _order(answer)
    answer.add_argument(
        "answers",
        nargs="*",
        metavar="ANSWER",
        help="once, always or reject; or for each question an option, its number, or a text.",
    )
    answer.add_argument(
        "--request", metavar="ID", dest="request_id", help="Which one, if several wait."
    )
    answer.add_argument("--message", metavar="TEXT", help="With reject: what to do instead.")
    answer.add_argument(
        "--reject", action="store_true", dest="is_rejected", help="Do not answer; say so."
    )

    retry = add_command(group, "retry", "orders:retry", "Hand an order that failed in once more.")
    _order(retry)

    dismiss = add_command(
        group, "dismiss", "orders:dismiss", "Take orders that were given up off the list."
    )
    dismiss.add_argument(
        "order_ids", nargs="+", metavar="ID", help="The order's id, or its beginning."
    )
    machine_option(dismiss)
    json_option(dismiss)


def _order(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("order_id", metavar="ID", help="The order's id, or its beginning.")
    machine_option(parser)
    json_option(parser)


def _add_audit(commands: Any) -> None:  # noqa: ANN401
    parser = add_command(commands, "audit", "audit:show", "Show what was done, newest last.")
    machine_option(parser)
    parser.add_argument(
        "--limit", type=whole_number, default=100, metavar="N", help="At most N (100)."
    )
    parser.add_argument("--severity", choices=SEVERITIES)
    parser.add_argument("--type", metavar="TYPE", dest="event_type", help="Only this event type.")
    parser.add_argument("--since", metavar="TIME", help="ISO 8601, or 30m, 2h, 1d ago.")
    parser.add_argument("--order", metavar="ID", dest="order_id", help="Only this order's lines.")
    parser.add_argument(
        "--follow", action="store_true", dest="is_following", help="Go on with new lines."
    )
    json_option(parser, "one JSON document (with --follow: one line for each)")
    group = commands_of(parser)
    verify = add_command(group, "verify", "verify:verify", "Check that nothing is missing.")
    machine_option(verify)
    verify.add_argument(
        "--anchor",
        metavar="HASH|FILE",
        dest="anchors",
        action="append",
        help="A head that was written down earlier, or a file of them; may be given again.",
    )
    verify.add_argument(
        "--chain-only",
        action="store_true",
        dest="is_chain_only",
        help="Look at the lines alone, not at orders, answers and letters.",
    )
    json_option(verify)


def _add_sessions(commands: Any) -> None:  # noqa: ANN401
    group = commands_of(
        commands.add_parser("sessions", help="Conversations and their agent sessions.")
    )
    list_ = add_command(group, "list", "sessions:list_sessions", "Show all conversations.")
    machine_option(list_)
    json_option(list_)
    reset = add_command(
        group, "reset", "sessions:reset", "Have a conversation's next order begin a new session."
    )
    reset.add_argument("conversation", metavar="KEY", help="As `galaxy sessions list` shows it.")
    machine_option(reset)
    json_option(reset)


def _add_people(commands: Any) -> None:  # noqa: ANN401
    pair = add_command(
        commands, "pair", "people:pair", "Let in who was shown this code by the bot."
    )
    pair.add_argument("code", metavar="CODE", help="As the bot showed it; case does not matter.")
    pair.add_argument(
        "--role", choices=ROLES, help="Default: owner for the first person, then operator."
    )
    config_option(pair)
    json_option(pair)
    group = commands_of(commands.add_parser("people", help="Who may talk to the bot."))
    list_ = add_command(group, "list", "people:list_people", "Show who may talk to the bot.")
    config_option(list_)
    json_option(list_)
    remove = add_command(group, "remove", "people:remove", "Take somebody off the list.")
    remove.add_argument("person", metavar="ID", help="As `galaxy people list` shows it.")
    remove.add_argument(
        "--channel", metavar="NAME", default="telegram", help="Where the id is from (telegram)."
    )
    config_option(remove)
    json_option(remove)


def _add_config(commands: Any) -> None:  # noqa: ANN401
    group = commands_of(commands.add_parser("config", help="Check and show the settings."))
    check = add_command(group, "check", "config:check", "Say what is wrong with the settings.")
    machine_option(check)
    check.add_argument(
        "--strict", action="store_true", dest="is_strict", help="Warnings are errors."
    )
    json_option(check)
    show = add_command(group, "show", "config:show", "Print what holds, secrets masked.")
    machine_option(show)
    json_option(show)
    password = add_command(
        group, "password", "password:password", "Set the password of the page; keep its hash."
    )
    config_option(password)
    json_option(password)


def _add_health(commands: Any) -> None:  # noqa: ANN401
    for name, help_ in (
        ("health", "Look at every part once; not 0 when one is broken."),
        ("doctor", "Look closer, and say what to do about what is wrong."),
    ):
        parser = add_command(commands, name, f"health:{name}", help_)
        config_option(parser)
        json_option(parser)


def _add_services(commands: Any) -> None:  # noqa: ANN401
    group = commands_of(
        commands.add_parser("services", help="Run the programs as systemd services.")
    )
    install = add_command(
        group, "install", "services:install", "Write, enable and start the units of this folder."
    )
    config_option(install)
    uninstall = add_command(
        group, "uninstall", "services:uninstall", "Stop and remove what install has written."
    )
    status = add_command(group, "status", "services:status", "Show how the services are.")
    logs = add_command(group, "logs", "services:logs", "Show what the services have said.")
    for parser in (install, uninstall, status, logs):
        parser.add_argument(
            "names",
            nargs="*",
            metavar="NAME",
            help="Only these; default: all that the settings have use for, or that are installed.",
        )
        parser.add_argument(
            "--system",
            action="store_true",
            dest="is_system",
            help="The system's services, not the user's; needs root.",
        )
    for parser in (install, uninstall, logs):
        parser.add_argument(
            "--dry-run", action="store_true", dest="is_dry", help="Only say what would be done."
        )
    logs.add_argument(
        "--lines", type=whole_number, default=100, metavar="N", help="At most N of each (100)."
    )
    logs.add_argument(
        "--follow", action="store_true", dest="is_following", help="Go on with new lines."
    )
    for parser in (install, uninstall, status):
        json_option(parser)
    json_option(logs, "a JSON object a line, as journalctl does")


def _add_maintenance(commands: Any) -> None:  # noqa: ANN401
    cleanup = add_command(
        commands, "cleanup", "cleanup:cleanup", "Show what is over and old, or remove it."
    )
    machine_option(cleanup)
    cleanup.add_argument(
        "--older-than",
        metavar="DAYS",
        type=whole_number,
        help="The age for every kind but the audit trail; default: the settings' `retention`.",
    )
    cleanup.add_argument(
        "--kind",
        metavar="KIND=DAYS",
        dest="kinds",
        action="append",
        help="The age for orders, responses, letters, files, leftovers, sessions, notes, web or"
        " audit; may be given again.",
    )
    cleanup.add_argument(
        "--apply", action="store_true", dest="is_applied", help="Remove it; else it is only shown."
    )
    json_option(cleanup)

    backup = add_command(
        commands, "backup", "backup:backup", "Copy a machine's folder into one file, while it runs."
    )
    backup.add_argument("file", metavar="FILE", type=Path, help="The copy; a .tar.gz.")
    backup.add_argument(
        "--with-secrets",
        action="store_true",
        dest="has_secrets",
        help="With settings, token and passwords: all of .galaxy.",
    )
    machine_option(backup)
    json_option(backup)

    restore = add_command(
        commands, "restore", "backup:restore", "Check a copy, and put it in its place."
    )
    restore.add_argument("file", metavar="FILE", type=Path, help="As `galaxy backup` wrote it.")
    restore.add_argument(
        "--into", metavar="FOLDER", type=Path, help="The folder; default: the machine's."
    )
    restore.add_argument(
        "--force",
        action="store_true",
        dest="is_forced",
        help="Move aside what is in the folder, instead of refusing.",
    )
    machine_option(restore)
    json_option(restore)

    migrate = add_command(
        commands, "migrate", "migrate:migrate", "Show what the original system left behind."
    )
    migrate.add_argument(
        "--apply",
        action="store_true",
        dest="is_applied",
        help="Take settings that mean nothing out of the file; it is kept as it was.",
    )
    machine_option(migrate)
    json_option(migrate)
    check = add_command(
        commands,
        "upgrade-check",
        "migrate:upgrade_check",
        "Compare the folder, Python and opencode with this version.",
    )
    machine_option(check)
    json_option(check)


def _add_completion(commands: Any) -> None:  # noqa: ANN401
    parser = add_command(
        commands,
        "completion",
        "completion:completion",
        "Print a script for the shell, which completes commands and options.",
    )
    parser.add_argument("shell", choices=SHELLS)


def parse(arguments: Sequence[str] | None = None) -> tuple[str, dict[str, Any]]:
    """The function's name and its keyword arguments; raises `UsageError`."""
    parsed, unknown = build_parser().parse_known_args(arguments)
    options = vars(parsed)
    command: Parser = options[COMMAND]
    if unknown:
        known = [option for action in command.actions for option in action.option_strings]
        noun = "option" if unknown[0].startswith("-") else "argument"
        hint = nearest(unknown[0].partition("=")[0], known)
        raise UsageError(f"there is no {noun} {unknown[0]!r} here{hint}", command.prog)
    if options["version"]:
        return "galaxy_apps.cli.about:version", {"is_json": False}
    if command.handler is None:
        raise UsageError("a command is missing", command.prog)
    return command.handler, {action.dest: options[action.dest] for action in command.actions}
