"""Results that are taken away until new ones have taken their place."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from otcondense.store.files import Store
from otcondense.store.local_files import SET_ASIDE


@contextmanager
def set_aside(store: Store, names: Iterable[str]) -> Iterator[None]:
    """Take files away while the `with` block runs.

    If it ends well, they are deleted. Otherwise those whose place is free are put back, now or, if
    the process is killed, by `put_back`.
    """
    names = list(names)
    try:
        for name in names:
            store.move(name, f"{SET_ASIDE}/{name}")
        store.remove_empty_folders(names)
        yield
    except BaseException:
        put_back(store)
        raise
    store.remove(SET_ASIDE)


def put_back(store: Store) -> None:
    """Put back what a killed process has set aside, as far as its place is free."""
    for name in store.list_hidden(SET_ASIDE):
        place = name.removeprefix(f"{SET_ASIDE}/")
        if not store.exists(place):
            store.move(name, place)
    store.remove(SET_ASIDE)
