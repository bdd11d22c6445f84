"""`hubbub completion`: writes what makes a shell complete the commands of hubbub and their options."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence

from hubbub.service.commands.arguments import Arguments, one_of, wants_help
from hubbub.service.commands.help_texts import Help, all_help

USAGE = """\
hubbub completion: print the completion of commands and options for a shell

  hubbub completion bash   for ~/.local/share/bash-completion/completions/hubbub
  hubbub completion zsh    for a file _hubbub in a folder of $fpath
  hubbub completion fish   for ~/.config/fish/completions/hubbub.fish
"""
_NOTE = "# Written by `hubbub completion {}`, from the help texts.\n"


def completion(arguments: Sequence[str]) -> int:
    """Print the completion of one shell."""
    if wants_help(arguments):
        sys.stdout.write(USAGE)
        return 0
    parser = Arguments("completion")
    parser.add_argument("shell", type=one_of(*SHELLS), metavar="|".join(SHELLS))
    shell = parser.parse_args(arguments).shell
    sys.stdout.write(_NOTE.format(shell) + SHELLS[shell](all_help()))
    return 0


def _bash(commands: Mapping[str, Help]) -> str:
    cases = "".join(
        f"    {name}) words='{' '.join((*help.words, *help.options))}' ;;\n" for name, help in commands.items()
    )
    values = "|".join(sorted({option for help in commands.values() for option, value in help.options.items() if value}))
    return f"""\
_hubbub() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} words=
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W '{" ".join(commands)} --help --version' -- "$current"))
        return
    fi
    case ${{COMP_WORDS[COMP_CWORD - 1]}} in
    {values}) COMPREPLY=($(compgen -f -- "$current")); return ;;
    esac
    case ${{COMP_WORDS[1]}} in
{cases}    esac
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    [[ $current == -* ]] || COMPREPLY+=($(compgen -f -- "$current"))
}}
complete -o filenames -F _hubbub hubbub
"""


def _zsh(commands: Mapping[str, Help]) -> str:
    described = "\n".join(f"        '{name}:{_quoted(help.summary)}'" for name, help in commands.items())
    cases = ""
    for name, help in commands.items():
        options = " ".join(f"'*{one}=:value:_files'" if value else f"'{one}'" for one, value in help.options.items())
        first = f" '2:what:({' '.join(help.words)})'" if help.words else ""
        cases += f"    {name}) _arguments{first} {options} '*:file:_files' ;;\n"
    return f"""\
#compdef hubbub
_hubbub() {{
    local -a commands=(
{described}
    )
    if ((CURRENT == 2)); then
        _describe command commands
        return
    fi
    case $words[2] in
{cases}    esac
}}
_hubbub "$@"
"""


def _fish(commands: Mapping[str, Help]) -> str:
    lines = []
    for name, help in commands.items():
        lines.append(f"complete -c hubbub -f -n __fish_use_subcommand -a {name} -d '{_quoted(help.summary)}'")
        seen = f"-n '__fish_seen_subcommand_from {name}'"
        lines += [f"complete -c hubbub {seen} -a {word}" for word in help.words]
        lines += [
            f"complete -c hubbub {seen} -l {option.removeprefix('--')}{' -r' * value}"
            for option, value in help.options.items()
        ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return text.replace("\\", "").replace("'", "").replace(":", ",").replace("[", "(").replace("]", ")")


SHELLS: Mapping[str, Callable[[Mapping[str, Help]], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
