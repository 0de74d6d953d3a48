"""`galaxy completion`: scripts made from the command line's own grammar.

They hold everything and never call `galaxy`, so that completing is instant.
"""

from __future__ import annotations

from argparse import Action
from collections.abc import Iterator

from galaxy_apps.cli.arguments import build_parser
from galaxy_apps.cli.output import write
from galaxy_apps.cli.parsing import Parser
from galaxy_apps.exit_codes import ExitCode

HINTS = {
    "bash": "# Install: galaxy completion bash > ~/.local/share/bash-completion/completions/galaxy",
    "zsh": "# Install: put `source <(galaxy completion zsh)` into ~/.zshrc",
    "fish": "# Install: galaxy completion fish > ~/.config/fish/completions/galaxy.fish",
}


def completion(*, shell: str) -> ExitCode:
    """Print the script for one shell."""
    write(HINTS[shell])
    parser = build_parser()
    if shell == "zsh":
        write("autoload -U +X compinit && compinit")
        write("autoload -U +X bashcompinit && bashcompinit")
    write(_fish(parser) if shell == "fish" else _bash(parser))
    return ExitCode.OK


def _walk(parser: Parser, path: str = "") -> Iterator[tuple[str, Parser]]:
    yield path, parser
    for name, inner in parser.commands.items():
        yield from _walk(inner, f"{path}/{name}")


def _options(parser: Parser) -> list[Action]:
    return [action for action in parser.actions if action.option_strings]


def _takes_file(action: Action) -> bool:
    return action.metavar in {"FILE", "FOLDER"}


def _takes_value(action: Action) -> bool:
    return action.nargs != 0


# ---- bash, and zsh through its emulation


def _bash(parser: Parser) -> str:
    steps, values, words = [], [], []
    for path, each in _walk(parser):
        if path:
            steps.append(f'      "{path}") path="{path}" ;;')
        for action in _options(each):
            labels = "|".join(f'"{path} {option}"' for option in action.option_strings)
            if _takes_file(action):
                values.append(f'    {labels}) COMPREPLY=($(compgen -f -- "$cur")); return ;;')
            elif _takes_value(action):
                choices = " ".join(action.choices or ())
                offer = f'COMPREPLY=($(compgen -W "{choices}" -- "$cur")); ' if choices else ""
                values.append(f"    {labels}) {offer}return ;;")
        offered = [*each.commands, "--help"]
        offered += [option for a in _options(each) for option in a.option_strings]
        offered += [c for a in each.actions if not a.option_strings for c in a.choices or ()]
        words.append(f'    "{path}") words="{" ".join(offered)}" ;;')
    return "\n".join(
        [
            "_galaxy() {",
            '  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}"',
            '  local path="" words="" i',
            "  COMPREPLY=()",
            "  for ((i = 1; i < COMP_CWORD; i++)); do",
            '    case "$path/${COMP_WORDS[i]}" in',
            *steps,
            "    esac",
            "  done",
            '  case "$path $prev" in',
            *values,
            "  esac",
            '  case "$path" in',
            *words,
            "  esac",
            '  COMPREPLY=($(compgen -W "$words" -- "$cur"))',
            "}",
            "complete -o filenames -F _galaxy galaxy",
        ]
    )


# ---- fish


def _fish(parser: Parser) -> str:
    lines = ["complete -c galaxy -f"]
    for path, each in _walk(parser):
        where = "; and ".join(f"__fish_seen_subcommand_from {n}" for n in path.split("/")[1:])
        for name, inner in each.commands.items():
            rest = f"not __fish_seen_subcommand_from {' '.join(each.commands)}"
            condition = f"{where}; and {rest}" if where else rest
            lines.append(_fish_line(condition, f"-a {name}", inner.description or ""))
        for action in _options(each):
            spelt = " ".join(
                f"-l {o[2:]}" if o.startswith("--") else f"-s {o[1:]}"
                for o in action.option_strings
            )
            if _takes_file(action):
                spelt += " -r -F"
            elif _takes_value(action):
                choices = " ".join(action.choices or ())
                spelt += f" -x -a '{choices}'" if choices else " -x"
            lines.append(_fish_line(where, spelt, action.help or ""))
    return "\n".join(lines)


def _fish_line(condition: str, what: str, help_: str) -> str:
    quoted = help_.replace("\\", "\\\\").replace("'", "\\'")
    where = f"-n '{condition}' " if condition else ""
    return f"complete -c galaxy {where}{what} -d '{quoted}'"
