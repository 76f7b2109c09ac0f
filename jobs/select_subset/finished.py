"""The selections that are finished: a start reads only those that may have changed."""

from collections.abc import Iterable

from actors.selection_unit import SelectionUnit
from otcondense.store import Store, read_fingerprint, selection_file
from pipeline.checked import Checked


class FinishedSelections:
    """What is known of the selections of a run.

    A file that was read whole, or written by the last start, is not read again while its size and
    time of change stay: reading 100,000 selections takes minutes. `otcondense verify` reads all.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lists: dict[str, Checked] = {}

    def has(self, unit: SelectionUnit) -> bool:
        """Tell whether a selection is stored, from the inputs that are there now."""
        name = selection_file(unit.directory, unit.class_name)
        known = self._list(unit).known(name)
        if known is not None:
            return known.fingerprint == unit.fingerprint
        if read_fingerprint(self._store, name) != unit.fingerprint:
            return False
        self.add([unit])
        return True

    def add(self, units: Iterable[SelectionUnit]) -> None:
        """Keep what is known of selections that were read or written just now."""
        for unit in units:
            name = selection_file(unit.directory, unit.class_name)
            self._list(unit).add(name, unit.fingerprint, unit.size)

    def save(self) -> None:
        """Write the lists for the next start."""
        for each in self._lists.values():
            each.save()

    def _list(self, unit: SelectionUnit) -> Checked:
        if unit.directory not in self._lists:
            self._lists[unit.directory] = Checked.load(self._store, unit.directory)
        return self._lists[unit.directory]
