"""What each series looks like in the morning of each of its days: levels, the week's profile, what holidays do.

One walk through the days for all series at once. What stands for a day depends on earlier days alone, so that one walk
answers for every past origin: a back-test sees exactly what a forecast made on that day had seen.

A day is expected to cost *level* × *share*. The share is the weekday's (they average 1), moved towards Sunday's by what
kind of day it is, times what that kind did in this series before. A level is the sum of what was spent over the sum of
shares, older days counting less; it is kept at several speeds, of which `blending` chooses.
"""

from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import numpy as np

from services.cost_alerts.domain.foresight.arrays import BoolArray, FloatArray, IntArray, divided
from services.cost_alerts.domain.foresight.calendar import FINLAND, Kind, kinds

WEEK = 7
_SUNDAY = 6

HALF_LIVES = np.array([1.0, 3.0, 8.0, 20.0])
"""Days after which a day counts half in a level, per speed."""

_FADING = 0.5 ** (1 / HALF_LIVES)
_PROFILE_FADING = 0.5 ** (WEEK / 84)
"""Per week: a weekday of twelve weeks ago counts half."""

_FLAT_WEEKS = 0.1
"""Weeks of a flat profile that every series begins with."""

_TOWARDS_SUNDAY = np.array([0.0, 0.7, 0.9, 0.7, 0.4, 0.15, 0.3])
"""How far a day of each kind is taken to be a Sunday, before a series has shown its own holidays."""

_DAYS_OF_BELIEF = np.array([np.inf, 2.0, 2.0, 2.0, 2.0, 3.0, 3.0])
"""Days of average use that this belief is worth, against the days of the kind that were seen."""

_TELLS_OF_LEVEL = np.array([1.0, 0.3, 0.3, 0.3, 0.7, 1.0, 1.0])
"""How much of a day a day of each kind is for the level: what a holiday does is known less well than a Tuesday."""

_TELLING_DAYS = 14
"""Before so many days nothing is called an outlier."""

_OUTLIER = 5.0
"""An outlier is so many usual deviations off."""

_LEAST_DEVIATION = 0.02
"""Of the level: a series that never deviates may still change."""

_DEVIATION_FADING = 0.04
_TELLING_SHARE = 0.5
"""Days with a smaller share do not tell whether an outlier went on."""

_QUIET_DAYS = 14
"""A series that cost nothing for longer than this, and than twice its longest pause before, has ended."""


@dataclass(frozen=True)
class Learned:
    """Index `t` of the first axis: what is known in the morning of day `t`, from the `t` days before it.

    Attributes:
        levels: [days + 1, speeds, series].
        profiles: [days + 1, weekday, series]; the weekdays of a series average 1.
        factors: [days + 1, kind, series]: what days of a kind cost, against what was believed of them.
        ended: [days + 1, series]: quiet for longer than a pause.
        begun: [days + 1, series]: anything was spent on an earlier day.
        shares: [days, series]: the share of each day as it was expected in its morning.
    """

    levels: FloatArray
    profiles: FloatArray
    factors: FloatArray
    ended: BoolArray
    begun: BoolArray
    shares: FloatArray

    def table(self, origin: int) -> FloatArray:
        """[weekday × kind, series]: the share of each sort of day, as known at `origin`."""
        return _shares(self.profiles[origin], self.factors[origin])


def day_sorts(first: date, days: int, country: str = FINLAND) -> IntArray:
    """For each day the row of `Learned.table` that it is found in."""
    weekdays = (np.arange(days) + first.weekday()) % WEEK
    return weekdays * len(Kind) + kinds(first, days, country)


def learn(values: FloatArray, sorts: IntArray) -> Learned:
    """Walk through `values` [series, days]; nan: nobody knows. `sorts`: the day's, at least as many as days."""
    series, days = values.shape
    walker = _Walker(series)
    found = Learned(
        levels=np.zeros((days + 1, len(HALF_LIVES), series)),
        profiles=np.ones((days + 1, WEEK, series)),
        factors=np.ones((days + 1, len(Kind), series)),
        ended=np.zeros((days + 1, series), dtype=bool),
        begun=np.zeros((days + 1, series), dtype=bool),
        shares=np.zeros((days, series)),
    )
    columns = np.ascontiguousarray(values.T)
    for day in range(days):
        weekday, kind = divmod(int(sorts[day]), len(Kind))
        found.shares[day] = walker.step(columns[day], weekday, kind)
        after = day + 1
        found.levels[after], found.profiles[after] = walker.levels, walker.profile
        found.factors[after], found.ended[after], found.begun[after] = walker.factors, walker.ended, walker.begun
    return found


def _believed(profile: FloatArray, weekday: int, kind: int) -> FloatArray:
    usual = profile[weekday]
    found: FloatArray = usual + _TOWARDS_SUNDAY[kind] * (profile[_SUNDAY] - usual)
    return found


def _shares(profile: FloatArray, factors: FloatArray) -> FloatArray:
    towards = _TOWARDS_SUNDAY[np.newaxis, :, np.newaxis]
    believed = profile[:, np.newaxis] + towards * (profile[_SUNDAY] - profile[:, np.newaxis])
    found: FloatArray = (believed * factors).reshape(WEEK * len(Kind), -1)
    return found


class _Day(NamedTuple):
    """One day of all series: what was spent, whether that is known, and what of it is learned from."""

    known: BoolArray
    spent: FloatArray
    learned: FloatArray
    level: FloatArray


class _Walker:
    """The state of all series between two days."""

    def __init__(self, series: int) -> None:
        self.levels = np.zeros((len(HALF_LIVES), series))
        self.profile = np.ones((WEEK, series))
        self.factors = np.ones((len(Kind), series))
        self.begun = np.zeros(series, dtype=bool)
        self._spent = np.zeros((len(HALF_LIVES), series))
        self._shared = np.zeros((len(HALF_LIVES), series))
        self._by_weekday = np.zeros((WEEK, series))
        self._weeks = np.zeros((WEEK, series))
        self._week_spent = np.zeros((WEEK, series))
        self._week_known = np.zeros((WEEK, series), dtype=bool)
        self._week_kinds = np.zeros(WEEK, dtype=np.intp)
        self._kind_spent = np.zeros((len(Kind), series))
        self._kind_shared = np.zeros((len(Kind), series))
        self._deviation = np.zeros(series)
        self._days = np.zeros(series)
        self._strayed = np.zeros(series)
        self._quiet = np.zeros(series)
        self._longest_quiet = np.zeros(series)

    @property
    def ended(self) -> BoolArray:
        return self.begun & (self._quiet > np.maximum(_QUIET_DAYS, 2 * self._longest_quiet))

    def step(self, spent: FloatArray, weekday: int, kind: int) -> FloatArray:
        """Take in a day; the share that it was expected to have."""
        share: FloatArray = _believed(self.profile, weekday, kind) * self.factors[kind]
        known = ~np.isnan(spent)
        spent = np.where(known, spent, 0.0)
        self.begun = self.begun | (spent != 0)
        self._begin_anew(self.ended & (spent != 0))
        known = known & self.begun
        level = self.levels.mean(axis=0)
        day = _Day(known, spent, self._tamed(known, spent, level * share, share), level)
        self._learn_pauses(day)
        self._learn_levels(day, share, _TELLS_OF_LEVEL[kind])
        self._learn_week(day, weekday, kind)
        self._days += known
        return share

    def _tamed(self, known: BoolArray, spent: FloatArray, expected: FloatArray, share: FloatArray) -> FloatArray:
        """What is learned from: a first outlier counts as far as is usual, a second on the same side is believed."""
        off = spent - expected
        usual = _OUTLIER * np.maximum(self._deviation, _LEAST_DEVIATION * np.abs(self.levels.mean(axis=0)))
        strays = np.where(np.abs(off) > usual, np.sign(off), 0.0) * (self._days >= _TELLING_DAYS)
        first = (strays != 0) & (strays != self._strayed)
        kept: FloatArray = np.where(first, np.clip(off, -usual, usual), off)
        tells = known & (share >= _TELLING_SHARE)
        self._strayed = np.where(tells, strays, self._strayed)
        pace = np.maximum(1 / np.maximum(self._days + 1, 1), _DEVIATION_FADING)
        self._deviation += np.where(known, (np.abs(kept) - self._deviation) * pace, 0.0)
        return expected + kept

    def _learn_pauses(self, day: _Day) -> None:
        quiet = day.known & (day.spent == 0)
        resumed = day.known & ~quiet
        self._longest_quiet = np.where(resumed, np.maximum(self._longest_quiet, self._quiet), self._longest_quiet)
        self._quiet = np.where(resumed, 0.0, self._quiet + quiet)

    def _begin_anew(self, back: BoolArray) -> None:
        """What comes back after its end has the week that it had, and a new level."""
        self._days[back] = 0.0
        self._spent[:, back] = 0.0
        self._shared[:, back] = 0.0
        self.levels[:, back] = 0.0

    def _learn_levels(self, day: _Day, share: FloatArray, weight: float) -> None:
        fading = np.where(day.known, _FADING[:, np.newaxis] ** weight, 1.0)
        self._spent = self._spent * fading + np.where(day.known, weight * day.learned, 0.0)
        self._shared = self._shared * fading + np.where(day.known, weight * share, 0.0)
        self.levels = divided(self._spent, self._shared)

    def _learn_week(self, day: _Day, weekday: int, kind: int) -> None:
        self._week_spent[weekday] = np.where(day.known, day.learned, 0.0)
        self._week_known[weekday] = day.known
        self._week_kinds[weekday] = kind
        if kind == Kind.ORDINARY:
            self._learn_profile(day, weekday)
            return
        tells = day.known & (day.level > 0)
        relative = np.clip(divided(day.learned, day.level), 0.0, float(WEEK))
        self._kind_spent[kind] += np.where(tells, relative, 0.0)
        self._kind_shared[kind] += np.where(tells, _believed(self.profile, weekday, kind), 0.0)
        belief = _DAYS_OF_BELIEF[kind]
        self.factors[kind] = (self._kind_spent[kind] + belief) / (self._kind_shared[kind] + belief)

    def _week_shared(self) -> FloatArray:
        """The shares of the last seven days that are known, as they are believed now: seven, where all are ordinary."""
        towards = _TOWARDS_SUNDAY[self._week_kinds][:, np.newaxis]
        believed = self.profile + towards * (self.profile[_SUNDAY] - self.profile)
        factors = self.factors[self._week_kinds]
        found: FloatArray = (believed * factors * self._week_known).sum(axis=0)
        return found

    def _learn_profile(self, day: _Day, weekday: int) -> None:
        """A weekday's share: what it cost against the seven days that end with it."""
        level = divided(self._week_spent.sum(axis=0), self._week_shared())
        tells = day.known & (level > 0) & (self._days >= WEEK - 1)
        relative = np.clip(divided(day.learned, level), 0.0, float(WEEK))
        fading = np.where(tells, _PROFILE_FADING, 1.0)
        self._by_weekday[weekday] = self._by_weekday[weekday] * fading + np.where(tells, relative, 0.0)
        self._weeks[weekday] = self._weeks[weekday] * fading + tells
        weighed = (self._by_weekday + _FLAT_WEEKS) / (self._weeks + _FLAT_WEEKS)
        self.profile = weighed / weighed.mean(axis=0)
