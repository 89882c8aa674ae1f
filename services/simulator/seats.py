"""Who holds a Copilot seat, since when, and how lately each of them used it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from services.simulator.city import City, SoldSku
from services.simulator.rhythm import DAY, draw
from services.simulator.stories import Stories

ROLLED_OUT = date(2026, 2, 16)
LATE_UNIT = "kirjasto"
"""The unit whose people get their seats during the simulated days."""

IDLE_SHARE = 0.15
NEVER_USED_SHARE = 0.5
"""Of the idle ones; the others stopped some time before the simulated days."""

REFRESHED_ON = (1, 15)
"""Days of the month on which the vendor's report learns of new activity: so 120 daily snapshots stay small."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A person's seat, and when they last used it as the report of `refreshed` has it; None: never."""

    number: int
    person: str
    assigned_on: date
    last_active_on: date | None


class CopilotSeats:
    """The seats of the city, as they stand on any day."""

    def __init__(self, city: City, stories: Stories) -> None:
        self._city = city
        self._stories = stories
        self._late = frozenset(city.members(LATE_UNIT, stories.today))
        self._of_report = lru_cache(maxsize=4)(self._all)

    def held(self, day: date, sku: SoldSku | None = None) -> Sequence[Seat]:
        """The seats of a SKU (None: of all) assigned on `day`, by the number of their holders."""
        seats = self._of_report(self.refreshed(day))
        numbers = range(1, len(self._city.people) + 1) if sku is None else sku.holders.numbers
        return [seat for seat in seats if seat.assigned_on <= day and seat.number in numbers]

    def refreshed(self, day: date) -> date:
        """The day of the report that is the newest on `day`."""
        while day.day not in REFRESHED_ON:
            day -= DAY
        return day

    def _all(self, refreshed: date) -> Sequence[Seat]:
        numbers = sorted(number for sku in self._city.vendors.microsoft.skus for number in sku.holders.numbers)
        return [self._seat(number, self._city.people[number - 1], refreshed) for number in numbers]

    def _seat(self, number: int, person: str, refreshed: date) -> Seat:
        assigned_on = self._stories.library_seats_from if person in self._late else ROLLED_OUT
        return Seat(number, person, assigned_on, self._last_active(person, assigned_on, refreshed))

    def _last_active(self, person: str, assigned_on: date, refreshed: date) -> date | None:
        habit = draw(self._stories.seed, person, "seat")
        if habit.random() < IDLE_SHARE:
            stopped = self._stories.first_day - timedelta(days=habit.randint(30, 60))
            return None if habit.random() < NEVER_USED_SHARE or stopped < assigned_on else stopped
        last = refreshed - timedelta(days=draw(self._stories.seed, person, refreshed, "seat").randint(1, 5))
        return last if last >= assigned_on else None
