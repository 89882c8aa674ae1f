"""When the city's stories happen: as shares of the days simulated, so that a short demo has them as well."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from services.shared.periods import Month
from services.simulator.rhythm import DAY, days

REVIEWED_PROMPTLY = timedelta(days=13)
"""No output this young is left to be overdue, so that what is overdue does not depend on the hour of a demo."""

SEATS_A_DAY = 0.002
"""What the library's seats cost, as a share of all that it spends, for each day of history."""

ANOMALY_DAYS = 3
"""So many days ago one unit's use jumped, and nobody has seen to it yet."""

LIBRARY_SEATS_SINCE = 0.375
"""The share of the days for which the library has had its seats."""

MOST_STRENGTH = 6.0

MID_MONTH = 16

_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Stories:
    """The days of a simulated past and what happens on them. `today` is a UTC day and not part of the past.

    Attributes:
        seed: the same seed, days and today give the same city.
        days: how many days of history there are before `today`.
    """

    seed: int
    days: int
    today: date

    @property
    def first_day(self) -> date:
        return self.today - self.days * DAY

    def back(self, share: float) -> date:
        """The day that lies this share of all days before today; yesterday at the latest."""
        return self.today - max(1, round(self.days * share)) * DAY

    @property
    def outage(self) -> tuple[date, date]:
        """The two days on which Microsoft's interface cannot be reached; both inclusive."""
        first = self.back(0.25)
        return first, first + DAY

    def is_out(self, moment: datetime) -> bool:
        """Whether Microsoft's interface is away. Today it never is."""
        first, last = self.outage
        return first <= moment.date() <= last and moment.date() < self.today

    @property
    def restated_day(self) -> date:
        """The day whose use Anthropic tells again, with other figures, from `restated_at` on."""
        return self.back(0.15)

    @property
    def restated_at(self) -> datetime:
        return datetime.combine(self.restated_day + (1 + max(1, self.days // 30)) * DAY, time(), UTC)

    @property
    def restated_file_day(self) -> date:
        """The day of which the chatbot's host sends a second, corrected file."""
        return self.back(0.1)

    @property
    def new_model_from(self) -> date:
        """The first day on which somebody uses a model that has no tariff."""
        return self.back(0.12)

    @property
    def late_model_from(self) -> date:
        """The first day of use of a model whose tariff the city gets only after the simulated days."""
        return self.back(0.2)

    @property
    def anomaly_day(self) -> date:
        """The day since which one program uses many times as much as usual: lately, so somebody must look at it."""
        return self.today - ANOMALY_DAYS * DAY

    @property
    def reorganised_on(self) -> date:
        """The day of the reorganisation, in mid-month where the simulated days have such a day."""
        day = self.back(0.3)
        middle = day.replace(day=MID_MONTH)
        return middle if self.first_day < middle < self.today else day

    @property
    def fullest_month(self) -> Month:
        """The month with most of the simulated days; the last of them, where several have as many."""
        counted = self._months()
        return max(counted, key=lambda month: (counted[month], month))

    @property
    def fullest_month_days(self) -> int:
        """How many of the simulated days that month has."""
        return max(self._months().values())

    def _months(self) -> Counter[Month]:
        return Counter(Month.of(day) for day in days(self.first_day, self.today))

    @property
    def invoiced_month(self) -> Month | None:
        """The last month that is over today, when it has simulated days."""
        month = Month.of(Month.of(self.today).first_day - DAY)
        return month if self.first_day < month.next.first_day else None

    @property
    def matters_day(self) -> date:
        """The office day on which each way happens in which the use of an output can go wrong.

        So long ago that all deadlines are over, whatever the hour of the demo, where there are days enough.
        """
        day = self.back(0.5)
        while day.weekday() >= _SATURDAY and day > self.first_day:
            day -= DAY
        return day

    @property
    def texts_kept_from(self) -> date:
        """The day on which ServiceNow's log of texts is switched on."""
        return self.back(0.25)

    @property
    def library_seats_from(self) -> date:
        """The day on which the library's people get their Copilot seats."""
        return self.back(LIBRARY_SEATS_SINCE)

    @property
    def last_business_day(self) -> date:
        """The last day before today from Monday to Friday: its outputs may still wait for their review."""
        day = self.today - DAY
        while day.weekday() >= _SATURDAY:
            day -= DAY
        return day

    def ramp(self, day: date) -> float:
        """Rises from 0.6 on the first day to 1.4 today; 1 on average."""
        return 0.6 + 0.8 * min(1.0, max(0.0, (day - self.first_day) / DAY / self.days))

    def library_strength(self) -> float:
        """By how much the library's bot is used more than in 120 days.

        Together with its seats the library passes its budget by about a seventh, however many days there are (25 at
        least). So the bot does what the seats leave: they cost in proportion to the days.
        """
        return min(MOST_STRENGTH, max(0.1, 1 - SEATS_A_DAY * self.days) / (1 - SEATS_A_DAY * 120) * 120 / self.days)

    def library_share(self, day: date) -> float:
        """What the library spends on a day, its bot's use and its seats, as a share of what it spends in 120 days."""
        bot = self.ramp(day) * self.library_strength() * (1 - SEATS_A_DAY * 120) / 120
        return bot + (SEATS_A_DAY / LIBRARY_SEATS_SINCE if day >= self.library_seats_from else 0.0)
