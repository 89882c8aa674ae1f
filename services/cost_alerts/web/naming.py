"""Names of units and systems in one language; what the register does not know is called by its id."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from services.shared.events.register import UNALLOCATED, System, Unit
from services.shared.web.words import Words

Namer = Callable[[str], str]
"""An id → the name that people know."""


def unit_namer(words: Words, units: Iterable[Unit]) -> Namer:
    names: dict[str, Mapping[Any, str]] = {unit.id: unit.name for unit in units}
    names[UNALLOCATED] = {words.language: words("unallocated")}
    return lambda unit: words.name(names.get(unit, unit), unit)


def system_namer(words: Words, systems: Mapping[str, System]) -> Namer:
    names = {system: known.name for system, known in systems.items()}
    return lambda system: words.name(names.get(system, system), system)
