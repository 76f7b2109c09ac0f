"""The library transformers, which is loaded only where a network of it is needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from otcondense.errors import InputError

LONGEST_REASON = 300
"""Characters of the library's reason in a message; some are pages long."""


def load_library(name: str, extra: str = "transformers") -> Any:
    """Return the module transformers.

    Args:
        name: what needs it, for a message.
        extra: of this package, which installs it.

    Raises: InputError with the command that installs it.
    """
    try:
        import transformers
    except ImportError as error:
        raise InputError(
            f"{name} needs the package transformers; run pip install 'otcondense[{extra}]'"
        ) from error
    return transformers


@contextmanager
def quiet(library: Any) -> Iterator[None]:
    """Silence bars, and the list of weights that are not used, such as those of a text network."""
    logging = library.utils.logging
    verbosity = logging.get_verbosity()
    had_bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if had_bars:
            logging.enable_progress_bar()


def reason_of(error: Exception) -> str:
    """Return the library's reason in one line, not too long."""
    lines = " ".join(str(error).split()) or type(error).__name__
    return lines[:LONGEST_REASON]
