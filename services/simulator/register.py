"""The city's register as it became known: first without what came late, then with a price list, then reorganised.

The folder holds the end of this story; `moving.py` moves its dates to the simulated days.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from services.shared.bus import EventBus
from services.shared.clock import Clock
from services.shared.events.envelope import Fact
from services.shared.events.prices import Contract, Tariff
from services.shared.events.register import FxRates, Placement, Unit
from services.shared.periods import helsinki_day
from services.shared.settings import Settings
from services.shared.store.open import open_store
from services.simulator.moving import Moving
from services.simulator.stories import Stories
from services.usage_collector.adapters.people import open_people
from services.usage_collector.adapters.tables import METADATA
from services.usage_collector.register.facts import FactKey, Facts, Signed
from services.usage_collector.register.folder import load_folder
from services.usage_collector.register.fx import fx_facts, published_rates, published_source, rates_needed
from services.usage_collector.register.publish import publish

AUTHOR = "ict-register"
LATE_TARIFF = Signed(author=AUTHOR, reason="Price list of claude-esimerkki-5 came after its first use")
REORGANISATION = Signed(author="personnel-register", reason="Reorganisation told after it had happened")


def _rates(facts: Facts) -> Facts:
    overrides = [fact for fact in facts.values() if isinstance(fact, FxRates)]
    needed = rates_needed(fact for fact in facts.values() if isinstance(fact, Tariff | Contract))
    found = fx_facts(needed, overrides, published_rates(), published_source())
    return {("fx", str(fact.day)): fact for fact in found}


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
        self._last = {**Moving(stories).moved(found)}
        self._last |= _rates(self._last)  # prices that hold earlier than in the folder need earlier rates
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
