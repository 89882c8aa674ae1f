"""The tree of units: dated, so that a reorganisation moves no cost of the days before it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date

from services.shared.events.register import Unit


class Units:
    """The units of one register version."""

    def __init__(self, units: Iterable[Unit]) -> None:
        self._units: dict[str, list[Unit]] = defaultdict(list)
        for unit in units:
            self._units[unit.id].append(unit)

    def all(self) -> Iterator[Unit]:
        """Every unit at every time of its life."""
        for found in self._units.values():
            yield from found

    def on(self, unit: str, day: date) -> Unit | None:
        """The unit as it is on `day`; None when it is not defined then."""
        return next((one for one in self._units.get(unit, ()) if one.holds_on(day)), None)

    def with_ancestors(self, unit: str, day: date) -> list[str]:
        """The unit itself, its parent, and so on to the root, as on `day`. A cycle is cut where it closes."""
        chain: list[str] = []
        current: str | None = unit
        while current is not None and current not in chain:
            chain.append(current)
            found = self.on(current, day)
            current = None if found is None else found.parent
        return chain

    def defined(self, day: date) -> list[Unit]:
        """The units defined on `day`, by id."""
        found = (self.on(unit, day) for unit in sorted(self._units))
        return [unit for unit in found if unit is not None]
