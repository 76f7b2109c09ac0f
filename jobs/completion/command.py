"""The words of a command line, and the scripts that complete them."""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jobs.command.fields import describe_fields
from jobs.command.parser import parser_of
from jobs.command.settings_help import VerbParser
from jobs.command.verbs import VERBS
from jobs.command.yaml_files import SHIPPED, SUFFIX

FILES = {"--config": "configuration", "--compare": "comparison", "--sweep": "sweep"}
"""Options that take the name of a shipped file, and the kind of the file."""
NAME = "NAME"
"""Part of a setting that stands for a name of the user's choice."""


@dataclass(frozen=True)
class VerbWords:
    """What can follow a verb."""

    name: str
    summary: str
    words: tuple[str, ...]
    """Options, and the commands of a verb that has some."""
    settings: tuple[str, ...]
    """Beginnings of settings, such as `selection.budget=`."""


def every_verb() -> list[VerbWords]:
    """Return the verbs in the order of their table."""
    return [_words(name) for name in VERBS]


def _words(name: str) -> VerbWords:
    parser = parser_of(name)
    words: list[str] = []
    for action in parser._actions:
        words += action.option_strings
        if not action.option_strings:
            words += [str(choice) for choice in action.choices or ()]
    settings: tuple[str, ...] = ()
    if isinstance(parser, VerbParser) and "" in parser.sections:
        _, model = parser.sections[""]
        settings = tuple(dict.fromkeys(map(_beginning, describe_names(model))))
    return VerbWords(name, VERBS[name].summary, tuple(words), settings)


def describe_names(model: type) -> Iterable[str]:
    """Return the names of all settings of a model."""
    return [field.name for field in describe_fields(model)]


def _beginning(setting: str) -> str:
    """Return the part of a setting that can be completed: up to a name of the user's choice."""
    before, separator, _ = setting.partition(f".{NAME}")
    return f"{before}." if separator else f"{setting}="


def shipped_names() -> Mapping[str, list[str]]:
    """Return the names of the shipped files by the option that takes them."""
    return {
        option: sorted(path.stem for path in SHIPPED[kind].glob(f"*{SUFFIX}"))
        for option, kind in FILES.items()
    }


def completion(shell: str) -> str:
    """Return the script that lets a shell complete `otcondense`.

    Args:
        shell: bash, zsh or fish.
    """
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](every_verb())


def _bash(verbs: list[VerbWords]) -> str:
    lines = ["# Completion of otcondense for bash; `otcondense completion bash` wrote it."]
    lines += ["_otcondense() {", "    local words=() current=${COMP_WORDS[COMP_CWORD]}"]
    lines += ["    if ((COMP_CWORD == 1)); then", f"        words=({_listed(_names(verbs))})"]
    lines += ["    else", *_bash_files(), "        case ${COMP_WORDS[1]} in"]
    lines += _cases(verbs, "words")
    lines += ["        esac ;;", "        esac", "    fi"]
    lines += ['    mapfile -t COMPREPLY < <(compgen -W "${words[*]}" -- "$current")']
    lines += ["    [[ ${COMPREPLY[0]} != *[=.] ]] || compopt -o nospace 2>/dev/null", "}"]
    return "\n".join([*lines, "complete -o default -F _otcondense otcondense", ""])


def _bash_files() -> list[str]:
    lines = ["        case ${COMP_WORDS[COMP_CWORD - 1]} in"]
    for option, names in shipped_names().items():
        lines.append(f"        {option}) words=({_listed(names)}) ;;")
    return [*lines, "        *)"]


def _zsh(verbs: list[VerbWords]) -> str:
    lines = ["#compdef otcondense", "# `otcondense completion zsh` wrote it."]
    lines += ["_otcondense() {", "    local -a found", "    if ((CURRENT == 2)); then"]
    lines += [f"        found=({_listed(_names(verbs))})", "    else"]
    lines += ["        case ${words[CURRENT - 1]} in"]
    for option, names in shipped_names().items():
        lines.append(f"        {option}) found=({_listed(names)}) ;;")
    lines += ["        *)", "        case ${words[2]} in", *_cases(verbs, "found")]
    lines += ["        esac ;;", "        esac", "        _files", "    fi"]
    lines += ["    compadd -S '' -- ${(M)found:#*[=.]}", "    compadd -- ${found:#*[=.]}", "}"]
    return "\n".join([*lines, '_otcondense "$@"', ""])


def _fish(verbs: list[VerbWords]) -> str:
    lines = ["# Completion of otcondense for fish; `otcondense completion fish` wrote it."]
    for verb in verbs:
        lines.append(
            "complete -c otcondense -f -n __fish_use_subcommand "
            f"-a {verb.name} -d {shlex.quote(verb.summary)}"
        )
    for verb in verbs:
        seen = f"complete -c otcondense -n '__fish_seen_subcommand_from {verb.name}'"
        words = " ".join([*verb.words, *verb.settings])
        lines.append(f"{seen} -a {shlex.quote(words)}")
    for option, names in shipped_names().items():
        before = f"string match -q -- {option} (commandline -opc)[-1]"
        lines.append(f"complete -c otcondense -n '{before}' -a '{' '.join(names)}'")
    return "\n".join([*lines, ""])


def _names(verbs: Iterable[VerbWords]) -> list[str]:
    return [*(verb.name for verb in verbs), "--help", "--version"]


def _cases(verbs: Iterable[VerbWords], variable: str) -> list[str]:
    """Return the branches of a case over the verbs; those of equal settings share a line each."""
    lines = []
    for verb in verbs:
        spelled = "|".join(dict.fromkeys([verb.name, verb.name.replace("_", "-")]))
        words = _listed([*verb.words, *verb.settings])
        lines.append(f"        {spelled}) {variable}=({words}) ;;")
    return lines


def _listed(words: Iterable[str]) -> str:
    return " ".join(shlex.quote(word) for word in words)
