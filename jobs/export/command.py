"""Export a subset or features in a format of other tools."""

import argparse
from dataclasses import replace
from functools import partial

from jobs.answers.card_facts import card_facts
from jobs.command.card_options import licence_of, origin_of
from jobs.command.progress import note
from jobs.export.choices import choices_of, opening_command
from jobs.export.options import PLACES, check_options, chosen_format
from jobs.run_directory.captions import run_captions
from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from jobs.run_directory.subset_names import checked_subset
from otcondense.counts import counted
from otcondense.errors import InputError
from otcondense.exports.card.facts import About
from otcondense.exports.choice_formats import export_choices
from otcondense.exports.features import FeatureExport, export_features
from otcondense.exports.hub_push import check_repository, check_token, push_folder, upload_command
from otcondense.exports.subsets import ExportConfig, export_subset
from otcondense.reading import with_home
from otcondense.store import read_manifest


def export(run: Run, options: argparse.Namespace) -> None:
    """Write a subset, what became of every image, or all features in another format.

    Raises: InputError if an option does not belong to what is exported, or the output cannot be
        written there.
    """
    form = chosen_format(options.what, options.format)
    names = {option: option.removeprefix("--").replace("-", "_") for option in PLACES}
    given = {option: getattr(options, name) for option, name in names.items()}
    check_options(options.what, form, given)
    _refuse_source(options.output, run)
    exports = {"subset": _export_subset, "choices": _export_choices, "features": _export_features}
    exports[options.what](run, options, form)


def _export_subset(run: Run, options: argparse.Namespace, form: str) -> None:
    method = checked_subset(run, options.method)
    names = ("files", "images", "encode", "prompt")
    chosen = {name: getattr(options, name) for name in names}
    given = {name: value for name, value in chosen.items() if value is not None}
    config = ExportConfig(output=options.output, format=form, **given)
    about = _about(run, method, options) if form == "hf" else None
    manifest = read_manifest(run.store, run.manifest(method))
    count = export_subset(
        manifest,
        run.config.source,
        config,
        lambda sentence: note("export", sentence),
        partial(run_listing, run),
        about,
        run_captions(run, manifest.column("image_id")),
    )
    note("export", f"{counted(count, 'image')} as {form}: {options.output}")
    if options.push is not None:
        _push(options)


def _about(run: Run, method: str, options: argparse.Namespace) -> About:
    """Return what the card says; an upload that cannot work is refused before it is written."""
    licence = licence_of(options)
    if options.private and options.push is None:
        raise InputError("--private is for --push only, found it without; leave it out")
    if options.push is not None:
        if licence is None:
            raise InputError(
                f"--push {options.push} needs --license: who may use the images is yours to say, "
                "found none; add for example --license cc-by-4.0"
            )
        check_repository(options.push)
        check_token()
        _refuse_earlier(options)
    return card_facts(run, method, licence, origin_of(options), options.push)


def _refuse_earlier(options: argparse.Namespace) -> None:
    """Refuse a folder that is there, perhaps of an upload that was interrupted.

    Raises: InputError with the command that uploads it.
    """
    folder = with_home(options.output)
    if folder.exists():
        command = upload_command(folder, options.push, private=bool(options.private))
        raise InputError(
            f"--output must not exist yet, found {folder}; choose another name, or upload that "
            f"folder: {command}"
        )


def _push(options: argparse.Namespace) -> None:
    folder = with_home(options.output)
    url = push_folder(folder, options.push, private=bool(options.private))
    note("push", url)


def _export_choices(run: Run, options: argparse.Namespace, form: str) -> None:
    choices = choices_of(run, options.method, getattr(options, "class"))
    if options.files is not None:
        choices = replace(choices, files=options.files)
    choices = replace(choices, images=options.images)
    count = export_choices(choices, form, options.output, lambda sentence: note("export", sentence))
    methods = " and ".join(choices.selections)
    note("export", f"{counted(count, 'image')} by {methods} as {form}: {options.output}")
    note("export", f"open it with: {opening_command(form, options.output)}")


def _export_features(run: Run, options: argparse.Namespace, form: str) -> None:
    """Write the features of every class that the source has."""
    listing = run_listing(run)
    made = FeatureExport(
        store=run.store,
        view=run.features_view(),
        classes=listing.names,
        class_names=list(listing.classes),
        with_logits=bool(options.logits),
    )
    count = export_features(made, form, options.output)
    note("export", f"features of {counted(count, 'image')} as {form}: {options.output}")


def _refuse_source(output: str, run: Run) -> None:
    """Refuse an output in the folder of the images: it would become one of them.

    Raises: InputError.
    """
    place = with_home(output).resolve()
    for source in (run.config.source, run.config.held_out):
        if source is not None and place.is_relative_to(with_home(source.path).resolve()):
            raise InputError(f"--output must not be in the source {source.path}, found {output}")
