"""Neighbouring damage as one piece, so that a list of it can be read."""

from collections.abc import Iterable, Iterator
from typing import TypeVar, get_args

from services.verifier.damage import Damage, Kind, Notice, damage
from services.verifier.words import DEFAULT, told

_Found = TypeVar("_Found", Damage, Notice)

_KINDS: tuple[str, ...] = get_args(Kind)
_MOST = 10_000


class Runs:
    """Entries with one kind of damage, added in rising order.

    At most 10,000 pieces are told one by one; what comes after them is told as one piece, in which not everything
    need be damaged.
    """

    def __init__(self, kind: Kind, name: str) -> None:
        self._kind, self._name = kind, name
        self._runs: list[tuple[int, int]] = []
        self._rest: tuple[int, int] | None = None

    def add(self, first: int, last: int | None = None) -> None:
        """Entry `first`, or all up to `last`."""
        last = first if last is None else last
        if self._rest is not None:
            self._rest = (self._rest[0], last)
        elif self._runs and self._runs[-1][1] == first - 1:
            self._runs[-1] = (self._runs[-1][0], last)
        elif len(self._runs) < _MOST:
            self._runs.append((first, last))
        else:
            self._rest = (first, last)

    def damage(self) -> Iterator[Damage]:
        for first, last in self._runs:
            yield damage(self._kind, self._name, first, last)
        if self._rest is not None:
            yield damage(self._kind, "more", *self._rest)


def joined(found: Iterable[_Found]) -> list[_Found]:
    """The same, worst and lowest entries first, where neighbours with one sentence make one piece."""
    pieces: list[_Found] = []
    for one in sorted(found, key=_rank):
        if pieces and _continues(pieces[-1], one):
            pieces[-1] = _both(pieces[-1], one)
        else:
            pieces.append(one)
    return pieces


def _rank(found: Damage | Notice) -> tuple[int, str, int]:
    order = _KINDS.index(found.kind) if found.kind in _KINDS else len(_KINDS)
    return order, found.name, -1 if found.first is None else found.first


def _continues(before: _Found, one: _Found) -> bool:
    if not one.name or one.first is None or before.last is None or before.last + 1 != one.first:
        return False
    return (before.kind, before.name, _without_path(before)) == (one.kind, one.name, _without_path(one))


def _without_path(found: _Found) -> dict[str, str | int]:
    return {name: value for name, value in found.values.items() if name != "path"}


def _both(before: _Found, one: _Found) -> _Found:
    values = dict(before.values)
    if "path" in values:
        values["path"] = f"{str(values['path']).partition(' … ')[0]} … {one.values['path']}"
    sentence = told(DEFAULT, one.name, before.first, one.last, **values)
    return before._replace(last=one.last, sentence=sentence, values=values)


class Findings:
    """Damage as it is found. However much there is, it stays a list that fits into memory: see `Runs`."""

    def __init__(self) -> None:
        self._found: list[Damage] = []
        self._rest: dict[Kind, tuple[int, int]] = {}

    def add(self, found: Iterable[Damage]) -> None:
        for one in found:
            if len(self._found) >= 2 * _MOST:
                self._found = joined(self._found)
            if len(self._found) < 2 * _MOST or one.first is None or one.last is None:
                self._found.append(one)
            else:
                first, last = self._rest.get(one.kind, (one.first, one.last))
                self._rest[one.kind] = (min(first, one.first), max(last, one.last))

    def all(self) -> tuple[Damage, ...]:
        """Neighbours joined, in the order of kinds and entries."""
        rest = [damage(kind, "more", first, last) for kind, (first, last) in self._rest.items()]
        return (*joined(self._found), *rest)
