"""The scripts that let shells complete a command line."""

import shlex
from collections.abc import Iterable, Iterator

from jobs.completion.words import SUBMIT, VerbWords, every_verb


def completion(shell: str) -> str:
    """Return the script that lets a shell complete `otcondense`.

    Args:
        shell: bash, zsh or fish.
    """
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](every_verb())


BASH_START = """\
_otcondense() {
    local words=() word verb=${COMP_WORDS[1]} place=$COMP_CWORD
    local current=${COMP_WORDS[COMP_CWORD]}
    [[ $current != = ]] || { current=; place=$((place + 1)); }
    [[ ${COMP_WORDS[place - 1]} != = ]] || place=$((place - 1))
"""
"""An option and its value can be parted by a blank or by =, which is a word of its own."""
BASH_END = """\
    mapfile -t COMPREPLY < <(compgen -W "${words[*]}" -- "$current")
    [[ ${COMPREPLY[0]} != *[=.] ]] || compopt -o nospace 2>/dev/null
}
complete -o default -F _otcondense otcondense
"""


def _bash(verbs: list[VerbWords]) -> str:
    lines = ["# Completion of otcondense for bash; `otcondense completion bash` wrote it."]
    lines += BASH_START.splitlines()
    lines += [f"    if [[ $verb == {SUBMIT} ]]; then"]
    lines += ['        for word in "${COMP_WORDS[@]:2:COMP_CWORD-2}"; do']
    lines += ["            [[ $word == -* ]] || { verb=$word; break; }", "        done", "    fi"]
    lines += ["    if ((COMP_CWORD == 1)); then", f"        words=({_listed(_names(verbs))})"]
    lines += ["    else", "        case $verb:${COMP_WORDS[place - 1]} in"]
    lines += [*_cases(verbs, "words"), "        esac", "    fi"]
    return "\n".join([*lines, BASH_END])


def _zsh(verbs: list[VerbWords]) -> str:
    lines = ["#compdef otcondense", "# `otcondense completion zsh` wrote it."]
    lines += ["_otcondense() {", "    local -a found", "    local word verb=${words[2]}"]
    lines += [f"    if [[ $verb == {SUBMIT} ]]; then"]
    lines += ["        for word in ${words[3,CURRENT-1]}; do"]
    lines += ["            [[ $word == -* ]] || { verb=$word; break; }", "        done", "    fi"]
    lines += ["    if ((CURRENT == 2)); then", f"        found=({_listed(_names(verbs))})"]
    lines += ["    else", "        case $verb:${words[CURRENT - 1]} in"]
    lines += [*_cases(verbs, "found"), "        esac", "        _files", "    fi"]
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
        seen = f"__fish_seen_subcommand_from {' '.join(verb.spellings)}"
        words = " ".join([*verb.words, *verb.settings])
        lines.append(f"complete -c otcondense -n '{seen}' -a {shlex.quote(words)}")
        for option, values in verb.values.items():
            if values:
                before = f"{seen}; and string match -q -- {option} (commandline -opc)[-1]"
                lines.append(f"complete -c otcondense -n '{before}' -a '{' '.join(values)}'")
    return "\n".join([*lines, ""])


def _names(verbs: Iterable[VerbWords]) -> list[str]:
    return [*(verb.name for verb in verbs), "--help", "--version"]


def _cases(verbs: Iterable[VerbWords], variable: str) -> Iterator[str]:
    """Yield the branches of a case over `verb:word before`, those with values first."""
    for verb in verbs:
        for option, values in verb.values.items():
            before = "|".join(f"{name}:{option}" for name in verb.spellings)
            yield f"        {before}) {variable}=({_listed(values)}) ;;"
        before = "|".join(f"{name}:*" for name in verb.spellings)
        words = _listed([*verb.words, *verb.settings])
        yield f"        {before}) {variable}=({words}) ;;"


def _listed(words: Iterable[str]) -> str:
    return " ".join(shlex.quote(word) for word in words)
