"""Uploads of a data set to the Hugging Face Hub, by its own library."""

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from otcondense.errors import InputError
from otcondense.exports.card.card import DATA_FILES, TAG, hub_card

if TYPE_CHECKING:
    from huggingface_hub import HfApi

NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
"""ORG/NAME as the Hub takes it."""
KIND = "dataset"
OF_THE_HUB = ".gitattributes"
"""A file that the Hub itself puts into every new repository."""
UNAUTHORISED, FORBIDDEN, MISSING, TOO_MANY = 401, 403, 404, 429
REASONS = {
    UNAUTHORISED: "the Hub does not know the token; make a new one, and `hf auth login`",
    FORBIDDEN: "the token may not write there; it needs the right to write, and you must belong "
    "to the organisation",
    MISSING: "the Hub does not find it, or the token may not see it",
    TOO_MANY: "the Hub asks to wait; try later",
}
"""What to do, by the status of the answer."""
WORDS = 200
"""Characters of an answer of the Hub that are shown."""


def check_repository(name: str, option: str = "--push") -> None:
    """Check the name of a data set on the Hub.

    Args:
        name: what was given.
        option: how the user gave it, for errors.

    Raises: InputError if it is not ORG/NAME.
    """
    if not NAME.fullmatch(name) or "--" in name or ".." in name or name.endswith(".git"):
        raise InputError(
            f"{option} must be the name of a data set on the Hub, ORG/NAME or USER/NAME, in "
            f"letters, digits, - _ and single dots, found {name!r}"
        )


def check_token() -> None:
    """Check that there is a token of the Hub on this machine; it is not sent anywhere.

    Raises: InputError without one, or without the package.
    """
    _api()
    from huggingface_hub import get_token

    if get_token() is None:
        raise InputError(
            "--push needs a token of the Hub with the right to write, found none; `hf auth login` "
            "or set HF_TOKEN (huggingface.co/settings/tokens)"
        )


def push_folder(folder: Path, repository: str, *, private: bool) -> str:
    """Create a data set on the Hub unless it is there, upload a folder, and return the address.

    A second upload sends only what differs; files of rows that the folder no longer has are deleted
    there. `upload_folder` of the library does both, in several commits if the folder is large, and
    goes on after an interruption.

    Args:
        folder: written by `write_hugging_face`.
        repository: ORG/NAME.
        private: whether a new data set can be seen by its owners only.

    Raises: InputError with the command that uploads the folder again, if the data set there is not
        one of ours, the Hub refuses, or there is no network.
    """
    api = _api()
    try:
        url = api.create_repo(repository, repo_type=KIND, private=private or None, exist_ok=True)
        _refuse_others(api, repository)
        api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            repo_type=KIND,
            delete_patterns=DATA_FILES,
            commit_message="Upload a condensed subset",
        )
    except _faults() as error:
        raise InputError(
            f"{repository} cannot be uploaded: {_reason(error)}; {folder} stays as it is, and "
            f"later: {upload_command(folder, repository, private=private)}"
        ) from error
    return str(url)


def validate_card(text: str) -> None:
    """Ask the Hub whether the metadata of a card is valid.

    Raises: InputError if it is not, or the Hub cannot be asked.
    """
    card = hub_card(text)
    try:
        card.validate()
    except _faults() as error:
        raise InputError(f"the card cannot be validated: {_reason(error)}") from error


def _api() -> "HfApi":
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise InputError(
            "the Hub needs the package huggingface_hub; install it: pip install huggingface_hub"
        ) from error
    return HfApi(library_name=TAG)


def _faults() -> tuple[type[Exception], ...]:
    """Return what the library raises: for answers of the Hub, the network, and refused metadata."""
    from huggingface_hub.errors import HfHubHTTPError

    # The base is that of the library's own HTTP client, whose failed connections are no OSError.
    of_the_client = [each for each in HfHubHTTPError.__mro__ if each.__name__ == "HTTPError"]
    return (*of_the_client, OSError, ValueError, RuntimeError)


def _refuse_others(api: "HfApi", repository: str) -> None:
    """Refuse to overwrite a data set that was not written here.

    Raises: InputError.
    """
    info = api.dataset_info(repository)
    names = {each.rfilename for each in info.siblings or ()} - {OF_THE_HUB}
    if names and TAG not in (info.tags or ()):
        raise InputError(
            f"it holds a data set that OTCondense did not write ({min(names)}); choose another name"
        )


def _reason(error: Exception) -> str:
    """Return why an upload failed, in one sentence."""
    if isinstance(error, InputError):
        return str(error)
    cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error
    status = getattr(getattr(cause, "response", None), "status_code", None)
    if status in REASONS:
        return f"{REASONS[status]} (answer {status})"
    told = getattr(cause, "server_message", None) or str(cause) or type(cause).__name__
    words = " ".join(str(told).split())[:WORDS]
    if status:
        return f"{words} (answer {status})"
    what = "refuses it" if isinstance(cause, ValueError) else "cannot be reached"
    return f"the Hub {what} ({words})"


def upload_command(folder: Path, repository: str, *, private: bool) -> str:
    """Return the command of the library that uploads a folder to the Hub, once more or later."""
    words = ["hf", "upload", repository, str(folder), ".", "--repo-type", KIND]
    words += ["--delete", DATA_FILES, *(["--private"] if private else [])]
    return shlex.join(words)
