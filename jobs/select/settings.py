"""The settings of `otcondense select`: those of the method, lists of rows, and the budget."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from jobs.command.fields import model_of
from jobs.command.settings import build, override
from jobs.command.settings_help import settings_help
from jobs.command.yaml_text import parse_yaml
from jobs.run_directory.budget_rules import check_budget, is_exact, plain_budget, resolve
from jobs.run_directory.id_lists import read_ids
from jobs.run_directory.selection_config import SelectorSettings
from jobs.select.rows import Rows
from otcondense.config import Config
from otcondense.errors import InputError
from otcondense.near_names import did_you_mean
from otcondense.selection import SELECTORS
from otcondense.unit_rows import CostName

OPTIONS = ("budget", "seed")
"""Settings of selectors that are options here."""


MOST_SUGGESTED = 10_000
"""Ids among which the nearest one is looked for: of more, it would take seconds."""


class SharedSettings(Config):
    """Settings that all methods have."""

    small_class: Literal["error", "take_all"] = "error"
    """Class with fewer rows than the budget: error refuses it, take_all takes all of it."""
    include: tuple[str | int, ...] | str = ()
    """Rows to choose in any case: their ids if there are some, else their numbers, from 0; or a
    file of ids: one per line, JSON, CSV or Parquet, also FILE#TAG."""
    exclude: tuple[str | int, ...] | str = ()
    """Rows that must not be chosen, in the same way; they still count as part of their class."""
    cost: CostName = "squared_distance"
    """How far apart two rows are: squared_distance, or cosine, which takes them at unit length."""


LISTS = ("include", "exclude")
"""Settings that name rows."""


@dataclass(frozen=True)
class SelectSettings:
    """What the pairs `key=value` of a command line say."""

    of_method: dict[str, Any]
    """Arguments of the selector, without `include` and `exclude`."""
    shared: SharedSettings


def read_settings(options: argparse.Namespace) -> SelectSettings:
    """Return the settings of the method.

    Raises: InputError for an unknown one or a wrong value.
    """
    given: dict[str, Any] = {}
    override(given, options.settings)
    _check_names(given, options.method)
    values = {name: given.pop(name) for name in SharedSettings.model_fields if name in given}
    for name in LISTS:
        if isinstance(values.get(name), int):
            values[name] = [values[name]]
    shared = build(SharedSettings, values, None)
    used = {**given, "budget": 1, "seed": options.seed, "small_class": shared.small_class}
    method = build(SELECTORS[options.method].Config, used, None).model_dump(mode="json")
    return SelectSettings({name: method[name] for name in method if name not in LISTS}, shared)


def _check_names(given: Mapping[str, object], method: str) -> None:
    """Refuse settings that a method does not have, with the nearest name or all names."""
    names = dict.fromkeys([*SharedSettings.model_fields, *SELECTORS[method].Config.model_fields])
    known = [name for name in names if name not in OPTIONS]
    for name in given:
        if name in OPTIONS:
            raise InputError(f"{name} is an option here; use --{name}")
        if name not in known:
            hint = did_you_mean(name, known) or f"; there are {', '.join(known)}"
            raise InputError(f"{name} is not a setting of {method}{hint}")


def listed_rows(rows: Rows, shared: SharedSettings) -> dict[str, list[int]]:
    """Return the numbers of the rows that are included, and excluded, by the name of the list.

    Raises: InputError for a row that is not there, twice in a list, or in both.
    """
    if rows.has_ids:
        places = {each: row for row, each in enumerate(rows.ids)}
    else:
        places = {str(row): row for row in range(len(rows.ids))}
    found = {name: _listed(rows, name, getattr(shared, name), places) for name in LISTS}
    both = sorted(set(found["include"]) & set(found["exclude"]))
    if both:
        name = rows.ids[both[0]] if rows.has_ids else both[0]
        raise InputError(f"include and exclude must have no row in common, found {name} in both")
    return found


def _listed(
    rows: Rows, name: str, given: tuple[str | int, ...] | str, places: Mapping[str, int]
) -> list[int]:
    wanted = read_ids(given, name) if isinstance(given, str) else tuple(map(str, given))
    seen: set[str] = set()
    for each in wanted:
        if each not in places:
            expected = "ids of rows" if rows.has_ids else f"numbers of rows below {len(rows.ids)}"
            near = did_you_mean(each, places) if len(places) <= MOST_SUGGESTED else ""
            hint = near if rows.has_ids else ""
            raise InputError(f"{name} must hold {expected}, found {each}{hint}")
        if each in seen:
            raise InputError(f"{name} must name each row once, found {each} twice")
        seen.add(each)
    return [places[each] for each in wanted]


def budgets_of(text: str, sizes: Mapping[str, int]) -> tuple[dict[str, int], dict[str, bool]]:
    """Return the budget of each class, and whether the class must meet it.

    Raises: InputError if it is no budget, or does not fit the classes.
    """
    budget: Any = plain_budget(parse_yaml(text, "--budget"))
    try:
        check_budget(budget, "--budget")
    except ValueError as error:
        raise InputError(str(error)) from error
    numbers = resolve(budget, sizes, "--budget")
    return numbers, {name: is_exact(budget, name) for name in sizes}


def settings_lines(method: str) -> list[str]:
    """Return what `--help-settings` prints: the settings of one method, or of all if it is empty.

    Raises: InputError for an unknown method.
    """
    names = [method] if method else list(SELECTORS)
    lines = settings_help({"": ("settings of every method (key=value)", SharedSettings)}, "")[:-1]
    for name in names:
        own = model_of(SelectorSettings.model_fields[name].annotation)
        if own is not None and own.model_fields:
            lines += settings_help({"": (f"settings of --method {name}", own)}, "")[:-1]
    return lines
