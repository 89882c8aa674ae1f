"""Each series' expected cost of the days to come, at any origin: several opinions, weighed by how right each has been.

The opinions on the level: as it is now, at each speed; the same, moved as it moved in the year before (which is how
July and December come in); and one with a trend that dies away. Each is judged by the totals of the fortnights that it
has forecast; what it said lately weighs most.
"""

import numpy as np

from services.cost_alerts.domain.foresight.arrays import BoolArray, FloatArray, IntArray, divided
from services.cost_alerts.domain.foresight.learning import HALF_LIVES, WEEK, Learned

LEAST_DAYS = 28
"""Origins with fewer days before them are not looked at: the week has been seen four times."""

YEAR = 52 * WEEK
"""Days back to the same weekday of the year before."""

_JUDGED_DAYS = 14
_JUDGEMENT_FADING = 0.5 ** (1 / 30)
_SHARPNESS = 4
"""Weights are inverse squared errors to this power: one that is a fifth worse has a fifth of the weight."""

_NEGLIGIBLE = 0.02**2
"""Squared relative error that is added to each: opinions that differ by less are not told apart by chance."""

_INITIAL_ERROR = 0.008
"""Squared relative error that every opinion starts with: those that nothing tells apart weigh the same."""

_AROUND = 10
"""Days to each side that the level of a day of the year before is taken over."""

_OF_LAST_YEAR = 0.7
"""How much of last year's move is expected again, as a power of it."""

_MOST_MOVE = np.log(2.0)
_LEAST_LEVEL = 1e-300
_TREND_SPEEDS = (2, 3)
"""The trend is how far the level at the first speed is from that at the second, over the difference of their ages.

The opinion that has it adds it to the level at the first speed, from the mean age of that level on.
"""

_MOST_TREND = 0.01
"""Of the level, a day."""

_DAMPING = 0.96
"""Of the trend's daily step, what is left of it the next day."""

_SPEEDS = len(HALF_LIVES)
_OPINIONS = 2 * _SPEEDS + 1
_FADING = 0.5 ** (1 / HALF_LIVES)
_AGES = _FADING / (1 - _FADING)


class Paths:
    """The expected cost of any days after any origin of a history [series, days]."""

    def __init__(self, values: FloatArray, learned: Learned, sorts: IntArray, july: BoolArray) -> None:
        """`sorts`, `july`: of the days of the history and of all that will be asked for."""
        self._values = np.ascontiguousarray(values.T)
        self._known = ~np.isnan(self._values)
        self._learned = learned
        self._sorts = sorts
        self._july = july
        self._log_local = _local_levels(self._values, self._known, learned)
        self._trends = _trends(learned.levels)
        self._weights = self._weigh()

    @property
    def days(self) -> int:
        return len(self._values)

    def expected(self, origin: int, days: int) -> FloatArray:
        """[day, series]: what each of the `days` days from `origin` on is expected to cost."""
        weights = self._weights[origin]
        levels = self._learned.levels[origin]
        level = (weights[:_SPEEDS] * levels).sum(axis=0)
        moved = (weights[_SPEEDS : 2 * _SPEEDS] * levels).sum(axis=0)
        fast = levels[_TREND_SPEEDS[0]]
        trended = fast + self._trends[origin] * _damped(days)
        trending = weights[-1] * np.where(fast < 0, trended, np.maximum(trended, 0.0))  # a fall ends at nought
        moves = self._moves(origin, days)
        path = (level + trending) * np.where(self._crosses_july(origin, days), moves, 1.0) + moved * moves
        found: FloatArray = path * self._shares(origin, days)
        found[:, self._learned.ended[origin]] = 0.0
        return found

    def known(self, origin: int, days: int) -> BoolArray:
        """[day, series]: which of those days have happened and are known."""
        return self._known[origin : origin + days]

    def happened(self, origin: int, days: int) -> FloatArray:
        """[day, series]: what those days have cost; nought where nobody knows."""
        return np.nan_to_num(self._values[origin : origin + days])

    def _crosses_july(self, origin: int, days: int) -> BoolArray:
        """[day, 1]: whether July begins or ends between the origin and the day, as every year: no opinion denies it."""
        july = self._july[origin : origin + days, np.newaxis]
        found: BoolArray = july != self._july[max(origin - 1, 0)]
        return found

    def _shares(self, origin: int, days: int) -> FloatArray:
        return self._learned.table(origin)[self._sorts[origin : origin + days]]

    def _moves(self, origin: int, days: int) -> FloatArray:
        """[day, series]: how far the level had moved by the same day a year ago, as a factor; 1 where it is unknown."""
        last_year = origin - YEAR
        if last_year < LEAST_DAYS:
            return np.ones((1, self._values.shape[1]))
        # the level of a day takes days around it, which at the origin have to be over
        ahead = np.minimum(np.arange(days) % YEAR, YEAR - 1 - _AROUND)
        moved = self._log_local[last_year + ahead] - self._log_local[last_year - _AROUND - 1]
        known = self._learned.begun[last_year - LEAST_DAYS]
        return np.exp(_OF_LAST_YEAR * np.where(known, np.clip(moved, -_MOST_MOVE, _MOST_MOVE), 0.0))

    def _each(self, origin: int) -> FloatArray:
        """[opinion, series]: what each opinion says of the fortnight after `origin`, its unknown days left out."""
        shares = self._shares(origin, _JUDGED_DAYS) * self.known(origin, _JUDGED_DAYS)
        levels = self._learned.levels[origin]
        total = shares.sum(axis=0)
        moved = (shares * self._moves(origin, _JUDGED_DAYS)).sum(axis=0)
        steps = (shares * _damped(_JUDGED_DAYS)).sum(axis=0)
        trending = levels[_TREND_SPEEDS[0]] * total + self._trends[origin] * steps
        return np.concatenate([levels * total, levels * moved, trending[np.newaxis]])

    def _weigh(self) -> FloatArray:
        """[origin, opinion, series]: weights, from fortnights that were over at the origin; they add up to 1."""
        series = self._values.shape[1]
        weights = np.full((self.days + 1, _OPINIONS, series), 1 / _OPINIONS)
        errors = np.full((_OPINIONS, series), _INITIAL_ERROR)
        for origin in range(LEAST_DAYS + _JUDGED_DAYS, self.days + 1):
            judged = origin - _JUDGED_DAYS
            of_age = self._learned.begun[judged - LEAST_DAYS]
            errors = np.where(of_age, errors * _JUDGEMENT_FADING + self._misjudged(judged), errors)
            told = (errors.min(axis=0) / errors) ** _SHARPNESS
            weights[origin] = told / told.sum(axis=0)
        return weights

    def _misjudged(self, origin: int) -> FloatArray:
        """[opinion, series]: squared errors relative to the fortnight's total, at most 1."""
        said = self._each(origin)
        happened = self.happened(origin, _JUDGED_DAYS).sum(axis=0)
        size = np.maximum(np.abs(happened), np.abs(said).mean(axis=0))
        error: FloatArray = np.minimum(divided(said - happened, size) ** 2, 1.0) + _NEGLIGIBLE
        return error


def _damped(days: int) -> FloatArray:
    """[day, 1]: how many daily steps of the trend have been made by each day, from the mean age of the level on."""
    ahead = np.arange(1, days + 1, dtype=np.float64)
    steps = _AGES[_TREND_SPEEDS[0]] + _DAMPING * (1 - _DAMPING**ahead) / (1 - _DAMPING)
    found: FloatArray = steps[:, np.newaxis]
    return found


def _trends(levels: FloatArray) -> FloatArray:
    """[origin, series]: how much the level gains a day."""
    fast, slow = (levels[:, speed] for speed in _TREND_SPEEDS)
    gained = (fast - slow) / (_AGES[_TREND_SPEEDS[1]] - _AGES[_TREND_SPEEDS[0]])
    most = _MOST_TREND * np.abs(slow)
    found: FloatArray = np.clip(gained, -most, most)
    return found


def _local_levels(values: FloatArray, known: BoolArray, learned: Learned) -> FloatArray:
    """[day, series]: logarithm of the level of the days around each, holidays and weekdays taken out."""
    days = len(values)
    spent = _running(np.where(known, np.maximum(values, 0.0), 0.0))
    shared = _running(np.where(known & learned.begun[1:], learned.shares, 0.0))
    first = np.clip(np.arange(days) - _AROUND, 0, days)
    last = np.clip(np.arange(days) + _AROUND + 1, 0, days)
    local = divided(spent[last] - spent[first], shared[last] - shared[first])
    found: FloatArray = np.log(np.maximum(local, _LEAST_LEVEL))
    return found


def _running(values: FloatArray) -> FloatArray:
    return np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
