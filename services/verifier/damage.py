"""What a verification finds: damage, notices, and the exit code that follows from them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from services.verifier.words import DEFAULT, Language, told

VERIFIED, DAMAGED, UNVERIFIABLE, STALE = range(4)
"""The exit codes of `valvomo audit verify`."""

Kind = Literal[
    "fork", "truncated", "checkpoint", "root", "entry", "tile", "row", "order", "duplicate", "anchor", "manifest",
    "missing", "unknown_key", "unreadable", "stale",
]  # fmt: skip
"""The worst first: in this order damage is told."""
_EXIT: Mapping[Kind, int] = {
    "missing": UNVERIFIABLE,
    "unknown_key": UNVERIFIABLE,
    "unreadable": UNVERIFIABLE,
    "stale": STALE,
}

Values = Mapping[str, str | int]


class Damage(NamedTuple):
    """One thing that is wrong; `first` to `last` are entries (both inclusive), None when no entry is meant.

    `sentence` is English; `name` and `values` say it in the other languages.
    """

    kind: Kind
    first: int | None
    last: int | None
    sentence: str
    name: str = ""
    values: Values = MappingProxyType({})

    def told(self, language: Language = DEFAULT) -> str:
        """The sentence in a language; in English when nobody has translated it."""
        return _told(self, language)


class Notice(NamedTuple):
    """Something that a reader should know and that is no damage. See `Damage`."""

    kind: str
    first: int | None
    last: int | None
    sentence: str
    name: str = ""
    values: Values = MappingProxyType({})

    def told(self, language: Language = DEFAULT) -> str:
        return _told(self, language)


def _told(found: Damage | Notice, language: Language) -> str:
    return told(language, found.name, found.first, found.last, **found.values) if found.name else found.sentence


def damage(kind: Kind, name: str, first: int | None = None, last: int | None = None, **values: str | int) -> Damage:
    """Damage whose sentence stands under `name` in the texts."""
    return Damage(kind, first, last, told(DEFAULT, name, first, last, **values), name, values)


def notice(kind: str, name: str, first: int | None = None, last: int | None = None, **values: str | int) -> Notice:
    """A notice whose sentence stands under `name` in the texts."""
    return Notice(kind, first, last, told(DEFAULT, name, first, last, **values), name, values)


def ranges(indexes: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Neighbouring indexes, which come in rising order, as (first, last)."""
    first = last = None
    for index in indexes:
        if first is None or last is None or index != last + 1:
            if first is not None and last is not None:
                yield first, last
            first = index
        last = index
    if first is not None and last is not None:
        yield first, last


@dataclass(frozen=True, slots=True)
class Report:
    """What was verified: `size` entries under `root` (hex), and all that is wrong."""

    size: int
    root: str
    damage: tuple[Damage, ...]
    notices: tuple[Notice, ...] = field(default=())

    @property
    def exit(self) -> int:
        """0 verified, 1 damaged or forked, 2 cannot be verified, 3 verified but stale."""
        found = {_EXIT.get(one.kind, DAMAGED) for one in self.damage}
        return next((code for code in (DAMAGED, UNVERIFIABLE, STALE) if code in found), VERIFIED)

    def with_more(self, wrong: Sequence[Damage] = (), notices: Sequence[Notice] = ()) -> "Report":
        """The same report, and what another examination found."""
        return Report(self.size, self.root, (*self.damage, *wrong), (*self.notices, *notices))

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {
            "exit": self.exit,
            "size": self.size,
            "root": self.root,
            "damage": [_members(one) for one in self.damage],
            "notices": [_members(one) for one in self.notices],
        }


def _members(found: Damage | Notice) -> dict[str, Any]:
    return {"kind": found.kind, "first": found.first, "last": found.last, "sentence": found.sentence}
