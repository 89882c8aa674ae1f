"""The city's register as it became known: first without what came late, then with a price list, then reorganised.

The folder holds the end of this story. The reorganisation is moved to a day within the simulated past.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from services.shared.bus import EventBus
from services.shared.clock import Clock
from services.shared.events.envelope import Fact
from services.shared.events.prices import Tariff
from services.shared.events.register import Placement, Unit
from services.shared.periods import helsinki_day
from services.shared.settings import Settings
from services.shared.store.open import open_store
from services.simulator.stories import Stories
from services.usage_collector.adapters.people import open_people
from services.usage_collector.adapters.tables import METADATA
from services.usage_collector.register.facts import KIND, FactKey, Facts, Signed
from services.usage_collector.register.folder import load_folder
from services.usage_collector.register.publish import publish

REORGANISED = date(2026, 10, 16)
"""The day that the city's folder has for its reorganisation."""

AUTHOR = "ict-register"
LATE_TARIFF = Signed(author=AUTHOR, reason="Price list of claude-esimerkki-5 came after its first use")
REORGANISATION = Signed(author="personnel-register", reason="Reorganisation told after it had happened")


class Version(NamedTuple):
    """All facts of a register version, and who stands behind it."""

    facts: Facts
    signed: Signed


class CityRegister:
    """The versions of the city's register, with pseudonyms from the collector's table of `settings`.

    Raises:
        RegisterRefusedError: the folder has problems.
    """

    def __init__(self, folder: Path, stories: Stories, late_model: str, settings: Settings, clock: Clock) -> None:
        store = open_store(settings, "collector", METADATA)
        try:
            who = open_people(settings.data_dir, store).pseudonyms
            found = load_folder(folder, today=helsinki_day(clock.now()), who=who).facts
        finally:
            store.close()
        self._clock = clock
        self._last = dict(_moved(found, stories.reorganised_on))
        self._day, self._late_model = stories.reorganised_on, late_model

    def publish_first(self, bus: EventBus) -> None:
        """Before anything is read: what the city knew then."""
        publish(self._first(), bus, self._clock)

    def publish_later(self, bus: EventBus) -> None:
        """After the past was read: what became known late, a version each."""
        for version in self.later():
            publish(version.facts, bus, self._clock, version.signed)

    def later(self) -> Iterator[Version]:
        first = self._first()
        late = {key: fact for key, fact in self._last.items() if self._is_late(fact)}
        yield Version({**first, **late}, LATE_TARIFF)
        yield Version(self._last, REORGANISATION)

    def _first(self) -> Facts:
        return {key: fact for key, fact in self._before() if not self._is_late(fact)}

    def _before(self) -> Iterator[tuple[FactKey, Fact]]:
        """The facts without the reorganisation."""
        for key, fact in self._last.items():
            if isinstance(fact, Unit | Placement):
                if fact.valid_from == self._day:
                    continue
                yield key, fact.model_copy(update={"valid_to": None}) if fact.valid_to == self._day else fact
            else:
                yield key, fact

    def _is_late(self, fact: Fact | None) -> bool:
        return isinstance(fact, Tariff) and fact.sku == self._late_model


def _moved(facts: Facts, day: date) -> Iterator[tuple[FactKey, Fact]]:
    """The facts with the reorganisation on another day."""
    for (kind, name), fact in facts.items():
        if isinstance(fact, Unit | Placement) and REORGANISED in (fact.valid_from, fact.valid_to):
            moved = fact.model_copy(update=_dates(fact, day))
            yield (kind, KIND[kind].fact_id(moved)), moved
        else:
            yield (kind, name), fact


def _dates(fact: Unit | Placement, day: date) -> Mapping[str, Any]:
    return {name: day for name in ("valid_from", "valid_to") if getattr(fact, name) == REORGANISED}
