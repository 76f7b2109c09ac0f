"""Why an image cannot be used."""


class UnreadableImageError(ValueError):
    """An image that cannot be decoded; the message is the reason, without the file's name."""
