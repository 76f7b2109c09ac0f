"""The one exception for mistakes a user can mend."""


class InputError(ValueError):
    """A user's mistake: the message names the object, what was expected and what was found.

    Commands print it without a traceback and exit with status 2.
    """
