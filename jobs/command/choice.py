"""The configuration that a command line chooses: a file, or that of an existing run."""

from collections.abc import Sequence

from jobs.command.progress import note
from jobs.command.settings import build, load_config, override
from jobs.command.verbs import Verb
from jobs.run_directory.config import RunConfig
from jobs.run_directory.marker import MARKER, read_marker, store_of
from jobs.run_directory.opening import own_configuration
from jobs.run_directory.stages import ALL, Access
from otcondense.errors import InputError
from otcondense.near_paths import found_at

DEFAULT_CONFIG = "demo"
"""The shipped configuration of a new run that names none."""


def chosen_config(
    verb: Verb, file: str | None, directory: str | None, words: Sequence[str]
) -> RunConfig:
    """Return the configuration for a verb.

    Args:
        verb: the verb.
        file: configuration file; None uses that of the run, or the default for a new run.
        directory: run directory of the option `--run`.
        words: the run directory once more, and `key=value` pairs.

    Raises: InputError naming what is missing, or the setting that is wrong.
    """
    settings = [word for word in words if "=" in word]
    root = named_run(directory, words)
    if root is not None and any(setting.startswith("run=") for setting in settings):
        raise InputError(f"the run directory is named twice: as {root}, and by the setting run=")
    if file is not None:
        return load_config(file, settings, root)
    if verb.access is Access.STARTS and (root is None or not _is_run(root)):
        if root is not None and directory is None:
            raise InputError(
                f"{root} must be a run{_or_folder(verb)}, {found_at(root, 'none there')}\n  a new "
                f"run of the example: otcondense {verb.name} --run {root}; of a configuration: "
                "--config FILE"
            )
        note("configuration", f"{DEFAULT_CONFIG}; --config names another")
        return load_config(DEFAULT_CONFIG, settings, root)
    if root is None:
        raise InputError(
            f"a run directory is needed, as in `otcondense {verb.name} RUN`; "
            "or name its configuration file with --config"
        )
    values = own_configuration(root)
    override(values, settings)
    return build(RunConfig, values, f"{root}/{MARKER}")


def named_run(directory: str | None, words: Sequence[str]) -> str | None:
    """Return the run directory that is named, by the option or a word; None if none is."""
    places = [] if directory is None else [directory]
    places += [word for word in words if "=" not in word]
    named = list(dict.fromkeys(places))
    if len(named) > 1:
        raise InputError(
            f"one run directory is expected, found {', '.join(named)}; "
            "a setting looks like key=value, see --help-settings for the keys"
        )
    return named[0] if named else None


def _or_folder(verb: Verb) -> str:
    return " or a folder of images" if verb.name == ALL else ""


def _is_run(root: str) -> bool:
    return read_marker(store_of(root)) is not None
