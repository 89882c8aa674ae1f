"""Days that cost far more than such a weekday does: robust by median and median deviation, holidays left out.

Only upwards. A day that costs too little is late, or silent, and silence has its own alarm.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from services.cost_alerts.domain.alerts.days import A_DAY, is_holiday
from services.cost_alerts.domain.alerts.found import Found, named
from services.cost_alerts.domain.alerts.situation import Situation
from services.shared.money import from_nano, to_nano

WEEKS = 12
LEAST_WEEKS = 8
"""Of the same weekday before, without holidays. Fewer say too little of what is usual."""

RAISED_AT, KEPT_AT = 6, 4
"""Deviations above the median: above the first a day is unusual, and its series stays so down to the second."""

LEAST_EURO = to_nano(Decimal(25))
"""Above the median. Below it, nobody's hour of looking is paid for."""

LEAST_SHARE = 2
"""A half of what a day usually costs, likewise: large series move by more than 25 euro every day."""

RECENT_DAYS = 4
"""So old the newest day with a cost may be: of older ones a message comes too late."""

MOST_OF_SYSTEM = 3
"""When more units than these stand out for one system, one message tells of the system: they have one cause."""

_WEEK = timedelta(days=7)
_SCALE = (14826, 10000)
"""The median deviation of a normal distribution times this is its standard deviation."""

_LEAST_DEVIATION = 20
"""A twentieth of the median: a series that never moved would ring at a cent."""

_THIRD = 3

Days = Mapping[date, int]


@dataclass(frozen=True, slots=True)
class Outlier:
    """A series whose newest day stands out. `first`: of the days in a row that do. Money in 10⁻⁹ euro."""

    unit: str
    system: str
    first: date
    day: date
    nano: int
    usual_nano: int


def anomalies(situation: Situation) -> Iterator[Found]:
    """Units' use of systems that stands out on the newest day; where many do for one system, the system."""
    by_system: defaultdict[str, list[Outlier]] = defaultdict(list)
    for (unit, system), days in sorted(series(situation).items()):
        about = named(unit, system)
        is_open = situation.is_open("anomaly", about) or situation.is_open("anomaly", system)
        found = outlier(unit, system, days, situation.today, KEPT_AT if is_open else RAISED_AT)
        if found is not None:
            by_system[system].append(found)
    for system, found_here in sorted(by_system.items()):
        if situation.is_open("anomaly", system) or len(found_here) > MOST_OF_SYSTEM:
            yield _of_system(system, found_here)
        else:
            yield from map(_of_unit, found_here)


def series(situation: Situation) -> Mapping[tuple[str, str], Days]:
    """(unit, system) → day → 10⁻⁹ euro of use, of complete days."""
    found: defaultdict[tuple[str, str], dict[date, int]] = defaultdict(dict)
    for use in situation.used:
        if use.day < situation.today:
            found[use.unit, use.system][use.day] = use.eur_nano
    return found


def outlier(unit: str, system: str, days: Days, today: date, deviations: int) -> Outlier | None:
    """The newest day of a series, if it stands out; a day without any cost is not yet told of, or not worth it."""
    newest = max((day for day, nano in days.items() if nano > 0), default=None)
    if newest is None or (today - newest).days > RECENT_DAYS or not is_unusual(days, newest, deviations):
        return None
    first = newest
    while is_unusual(days, first - A_DAY, deviations):
        first -= A_DAY
    usual = usual_cost(days, newest)
    assert usual is not None, "a day is unusual beside usual ones"
    return Outlier(unit, system, first, newest, days[newest], usual[0])


def is_unusual(days: Days, day: date, deviations: int) -> bool:
    """Whether a day costs so many deviations more than usual, and more by a share and an amount worth telling.

    To begin with, it must also be well above the highest of such days: a dozen days tell a deviation badly, one time
    in fourteen it comes out at less than half.
    """
    usual = usual_cost(days, day)
    if usual is None or is_holiday(day):
        return False
    middle, deviation = usual
    excess = days.get(day, 0) - middle
    if excess <= max(LEAST_EURO, deviations * deviation, middle // LEAST_SHARE):
        return False  # nearly all days, and quickly
    before = _Before.of(days, day)
    if deviations >= RAISED_AT and days.get(day, 0) <= before.high(day.weekday()):
        return False
    return excess > before.ordinary // LEAST_SHARE


def usual_cost(days: Days, day: date) -> tuple[int, int] | None:
    """Median and deviation of the same weekday before; None: too few to go by. 10⁻⁹ euro."""
    costs = _same_weekday(days, day)
    if len(costs) < LEAST_WEEKS:
        return None
    middle = median(costs)
    deviation = median([abs(cost - middle) for cost in costs]) * _SCALE[0] // _SCALE[1]
    return middle, max(deviation, middle // _LEAST_DEVIATION)


@dataclass(frozen=True, slots=True)
class _Before:
    """The days of the weeks before one, by weekday, without holidays. 10⁻⁹ euro."""

    costs: Mapping[int, Sequence[int]]
    medians: Mapping[int, int]

    @classmethod
    def of(cls, days: Days, day: date) -> "_Before":
        costs: defaultdict[int, list[int]] = defaultdict(list)
        first = min(days)
        for back in range(1, 7 * WEEKS + 1):
            one = day - back * A_DAY
            if one >= first and not is_holiday(one):
                costs[one.weekday()].append(days.get(one, 0))
        return cls(costs, {weekday: median(found) for weekday, found in costs.items()})

    @property
    def ordinary(self) -> int:
        """What a day of any weekday costs."""
        return median([cost for found in self.costs.values() for cost in found])

    def high(self, weekday: int) -> int:
        """What days of the weekdays that cost about as much as this one have come to before, and well above that.

        Half more than the third highest: two unusual days do not hide a third. Where use is rare, and a median says
        nothing, twice the highest.
        """
        middle = self.medians[weekday]
        like = [one for one, found in self.medians.items() if middle <= 2 * found and found <= 2 * middle]
        rising = sorted(cost for one in like for cost in self.costs[one])
        return rising[-1] * 2 if middle == 0 else rising[-_THIRD] * 3 // 2


def _same_weekday(days: Days, day: date) -> Sequence[int]:
    first = min(days, default=day)
    like = (day - back * _WEEK for back in range(1, WEEKS + 1))
    return [days.get(one, 0) for one in like if one >= first and not is_holiday(one)]


def median(numbers: Sequence[int]) -> int:
    """The middle one; of two in the middle their mean, cut. There must be a number."""
    rising = sorted(numbers)
    half = len(rising) // 2
    return rising[half] if len(rising) % 2 else (rising[half - 1] + rising[half]) // 2


def _of_unit(found: Outlier) -> Found:
    figures = {"day_eur": from_nano(found.nano), "usual_eur": from_nano(found.usual_nano)}
    about = named(found.unit, found.system)
    return Found("anomaly", "warning", about, found.first, unit=found.unit, system=found.system, figures=figures)


def _of_system(system: str, found: Collection[Outlier]) -> Found:
    figures = {
        "day_eur": from_nano(sum(one.nano for one in found)),
        "usual_eur": from_nano(sum(one.usual_nano for one in found)),
        "units": Decimal(len(found)),
    }
    return Found("anomaly", "warning", system, min(one.first for one in found), system=system, figures=figures)
