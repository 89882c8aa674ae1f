"""What the watch sees when it looks: the ledger in figures, from which the conditions follow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from services.cost_alerts.domain.view import View
from services.shared.events.outcomes import AlertKind, Condition

Topic = tuple[AlertKind, str]
"""What an alert is about: its kind, and which source, price, pool, contract or series. At most one is open of each."""


class Use(NamedTuple):
    """What a unit's use of a system was on a day: 10⁻⁹ euro, and how many readings."""

    unit: str
    system: str
    day: date
    eur_nano: int
    readings: int


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How the readings of a system come in; asked only about systems that seem silent.

    Attributes:
        delays: days between the end of a day of use and its first reading, of the last weeks; the days that came with
            the very first readings are left out, for those were fetched from the past.
        still_coming: whether a reading of it came within the last minutes: the past is being fetched just now.
        sources: whence its readings come (the events' source).
    """

    delays: Sequence[int] = ()
    still_coming: bool = False
    sources: frozenset[str] = frozenset()


class Completed(NamedTuple):
    """On this Helsinki day a source told that a window is complete. `source`: the `source` of its events."""

    name: str
    source: str
    told_on: date


class Unpriced(NamedTuple):
    """Readings of a day without a price."""

    system: str
    sku: str
    day: date
    readings: int


class Priced(NamedTuple):
    """A meter that was charged lately: its price is in use. `eur_nano`: of the last 28 complete days."""

    system: str
    sku: str
    meter: str
    eur_nano: int


class Rise(NamedTuple):
    """From `starts` on, the use of a system will cost so much more a month at known prices; 10⁻⁹ euro."""

    system: str
    starts: date
    monthly_nano: int


class Drying(NamedTuple):
    """A prepaid pool, from `first_day` to `last_day` inclusive, and when it may be dry: early, middle, late.

    None: it lasts to the end. `overage_nano`: what use beyond it is expected to cost, 10⁻⁹ euro; None: nobody knows.
    """

    key: str
    system: str
    meter: str
    size: Decimal
    left: Decimal
    first_day: date
    last_day: date
    dry_early: date | None
    dry_middle: date | None
    dry_late: date | None
    overage_nano: int | None


@dataclass(frozen=True, slots=True)
class Situation:
    """The ledger on a morning or later that day.

    Attributes:
        today: the present Helsinki day; the days before it are complete, but for what is late.
        view: of the newest register.
        open: the alerts that are open now.
        used: use of the last weeks by unit, system and day.
        arrivals: by system, for those that seem silent.
        completed: what sources told of late; a source once a day.
        running: the Helsinki days of late on which this program ran.
        unpriced: of the last weeks.
        priced: prices in use.
        restating: whether old use is priced again just now; then nobody can say what is usual.
        rises: None: nobody can say now. Alerts of that kind then stay as they are.
        drying: likewise.
    """

    today: date
    view: View
    open: Mapping[Topic, Condition] = field(default_factory=dict)
    used: Sequence[Use] = ()
    arrivals: Mapping[str, Arrivals] = field(default_factory=dict)
    completed: Sequence[Completed] = ()
    running: Sequence[date] = ()
    unpriced: Sequence[Unpriced] = ()
    priced: Sequence[Priced] = ()
    restating: bool = False
    rises: Sequence[Rise] | None = ()
    drying: Sequence[Drying] | None = ()

    def is_open(self, kind: AlertKind, about: str) -> bool:
        return (kind, about) in self.open
