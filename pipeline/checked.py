"""Files that were read whole and found undamaged: they are not read again while they stay as is.

Features of ImageNet take 13 GB. A start would hash them for nothing, so it looks at sizes and
times. The list lies with the logs: it is no result, and everything is read again without it.
"""

import logging
from dataclasses import asdict, dataclass, field

from pydantic import TypeAdapter, ValidationError

from otcondense.errors import InputError
from otcondense.store import Store, hash8
from otcondense.store.tables import CHECKED_FOLDER

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class CheckedFile:
    """A file that is what its fingerprint says."""

    state: str
    """Size and time of change of the file when it was read."""
    fingerprint: str
    rows: int


@dataclass
class Checked:
    """The checked files of one directory."""

    store: Store
    directory: str
    _files: dict[str, CheckedFile] = field(default_factory=dict)
    _has_changed: bool = field(default=False, init=False)

    @classmethod
    def load(cls, store: Store, directory: str) -> "Checked":
        """Return the list as an earlier start left it; empty if there is none."""
        name = _list_name(directory)
        if not store.exists(name):
            return cls(store, directory)
        try:
            stored = store.read_json(name)["files"]
            files = TypeAdapter(dict[str, CheckedFile]).validate_python(stored)
        except (InputError, KeyError, ValidationError):
            files = {}
        return cls(store, directory, files)

    def known(self, name: str) -> CheckedFile | None:
        """Return what is known of a file; None if it is missing or has changed."""
        found = self._files.get(name)
        if found is None or self.store.state(name) != found.state:
            return None
        return found

    def add(self, name: str, fingerprint: str, rows: int) -> CheckedFile:
        """Keep the facts of a file that was read whole or written just now."""
        found = CheckedFile(self.store.state(name) or "", fingerprint, rows)
        self._has_changed |= self._files.get(name) != found
        self._files[name] = found
        return found

    def save(self) -> None:
        """Write the list if it has changed; if that fails, the next start reads the files again."""
        if not self._has_changed:
            return
        files = {name: asdict(self._files[name]) for name in sorted(self._files)}
        try:
            self.store.write_json(_list_name(self.directory), {"files": files})
        except OSError as error:
            LOG.warning("the list of checked files is not written: %s", error.strerror or error)


def _list_name(directory: str) -> str:
    return f"{CHECKED_FOLDER}/{directory.replace('/', '-')}-{hash8(directory)}.json"
