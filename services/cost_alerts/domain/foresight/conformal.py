"""Limits on a total, from how far off the totals forecast at past origins have been.

Not from a distribution: at every third day of the past the same forecast is made of the same group, for a ladder of
horizons, and its relative error is noted once the days are over. Errors of the total itself hold whatever its series
do together. An error is then divided by how far off the group's forecasts were at the time (its *trouble*), so that
calm and restless times can be put in one row; the limits are the quantile of that row, times the trouble of today.

Source: conformal prediction with scaled scores (Lei et al., Distribution-Free Predictive Inference for Regression, JASA
2018, section 5.2) and with weights for series that change (Barber et al., Conformal Prediction Beyond Exchangeability,
Annals of Statistics 2023).
"""

from dataclasses import dataclass

import numpy as np

from services.cost_alerts.domain.foresight.arrays import BoolArray, FloatArray, IntArray, divided
from services.cost_alerts.domain.foresight.forecast import COVERAGE
from services.cost_alerts.domain.foresight.paths import LEAST_DAYS, Paths

STRIDE = 3
"""Days from one past origin to the next; no divisor of a week, so that all weekdays are origins."""

FIRST_ORIGIN = LEAST_DAYS + -LEAST_DAYS % STRIDE

LADDER = (1, 2, 3, 5, 7, 10, 14, 18, 22, 27, 31, 45, 62, 91, 122, 183, 274, 365)
"""Horizons, in days, at which errors are noted; between them widths are interpolated."""

NOTHING_KNOWN = 1.0
"""The width where no error is known yet: as much again, and down to nothing."""

_LEAST_WINDOWS = 1.5
"""A horizon that fits into the past fewer times than this is not measured; the next shorter one is grown."""

_GROWTH = 0.5
"""Power of the horizon by which widths grow beyond what was measured: that of the level of a random walk."""

_FADING_DAYS = 365
"""An error that has been known for so many days weighs half."""

_FLOOR = 0.05
"""Errors are relative to the forecast plus this share of what is usual: a forecast of nought may be wrong, too."""

_USUAL_FADING = 0.5 ** (1 / 90)
_TROUBLED_DAYS = 14
_TROUBLE_FADING = 0.5 ** (STRIDE / 30)
_LEAST_TROUBLE = 1e-6
_LEAST_NOTED = 4
"""Errors that make a trouble; fewer may be small by chance."""

_INDEPENDENCE = 2.0
"""Origins in stretches that overlap tell more than one origin for each stretch, but not by as much as they are more."""


@dataclass(frozen=True)
class Errors:
    """How far off each group's totals were.

    Attributes:
        origins: days before each past origin, rising.
        horizons: days ahead, rising: the ladder as far as it is asked for and the past is long.
        relative: [origin, group, horizon]: |happened − forecast| over `sizes`; nan: not over, or nothing had begun.
        absolute: the same, not over anything.
        usual: [day, group]: what the group cost a day, as known in the morning of each day.
        trouble: [day, group]: the mean error of the last fortnights that were over by then; nan before
            there were some.
    """

    origins: IntArray
    horizons: IntArray
    relative: FloatArray
    absolute: FloatArray
    usual: FloatArray
    trouble: FloatArray


def note_errors(paths: Paths, groups: BoolArray, most_days: int) -> Errors:
    """Forecast from the past, up to `most_days` ahead, and compare. `groups`: [group, series]."""
    member = groups.astype(np.float64)
    origins = np.arange(FIRST_ORIGIN, paths.days, STRIDE)
    horizons = np.array([*(step for step in LADDER if step < most_days), most_days])
    horizons = horizons[horizons <= max(paths.days - FIRST_ORIGIN, 1)]
    usual = _usual(paths, member)
    relative, absolute = (np.full((len(origins), len(groups), len(horizons)), np.nan) for _ in range(2))
    for number, origin in enumerate(origins):
        over = horizons[horizons <= paths.days - origin]
        if len(over):
            had_begun = usual[origin - LEAST_DAYS][:, np.newaxis] > 0
            off, size = _off(paths, member, int(origin), over, usual[origin])
            absolute[number, :, : len(over)] = np.where(had_begun, off, np.nan)
            relative[number, :, : len(over)] = np.where(had_begun, divided(off, size), np.nan)
    return Errors(origins, horizons, relative, absolute, usual, _trouble(origins, horizons, relative, paths.days))


def sizes(forecast: FloatArray, usual: FloatArray, horizons: IntArray) -> FloatArray:
    """[group, horizon]: what errors and widths are relative to. `forecast`: totals; `usual`: [group], a day."""
    found: FloatArray = np.abs(forecast) + _FLOOR * usual[:, np.newaxis] * horizons
    return found


def widths(errors: Errors, origin: int, size: FloatArray) -> FloatArray:
    """[group, day]: how far the limits of the totals of the first days from `origin` on are off, each way.

    As shares of `size` [group, day], see `sizes`, from the errors that were known at `origin`.
    """
    days = size.shape[1]
    asked = int(np.searchsorted(errors.horizons, days)) + 1
    measured = [step for step in errors.horizons[:asked] if _fits(origin, int(step))]
    if not measured:
        return np.full((errors.usual.shape[1], days), NOTHING_KNOWN)
    rungs = np.array(measured)
    found = np.array(
        [
            np.minimum(_quantile(errors, origin, place), _widest(errors, origin, place, size[:, min(rung, days) - 1]))
            for place, rung in enumerate(rungs)
        ]
    )
    ahead = np.arange(1, days + 1)
    between = np.array([np.interp(np.sqrt(ahead), np.sqrt(rungs), group) for group in found.T])
    grown: FloatArray = between * np.maximum(ahead / rungs[-1], 1.0) ** _GROWTH
    return grown


def _fits(origin: int, horizon: int) -> bool:
    return origin - FIRST_ORIGIN >= _LEAST_WINDOWS * horizon


def _quantile(errors: Errors, origin: int, place: int) -> FloatArray:
    """[group]: the width at one horizon."""
    horizon = int(errors.horizons[place])
    over = errors.origins + horizon <= origin
    scales = errors.trouble[errors.origins[over]]
    scores = errors.relative[over, :, place] / np.where(np.isnan(scales), _first(errors.trouble), scales)
    known_for = origin - errors.origins[over] - horizon
    found = _weighted(scores, 0.5 ** (known_for / _FADING_DAYS), max(horizon / STRIDE, 1.0))
    width: FloatArray = np.nan_to_num(found * errors.trouble[origin], nan=NOTHING_KNOWN)
    return width


def _widest(errors: Errors, origin: int, place: int, size: FloatArray) -> FloatArray:
    """[group]: the largest width at one horizon that anything speaks for.

    As much again, or the worst error that was seen, in euro. Where the past was almost without trouble, or next to
    nothing was forecast, a later error is any number of times as much as what it is divided by.
    """
    over = errors.origins + int(errors.horizons[place]) <= origin
    worst = np.nan_to_num(errors.absolute[over, :, place]).max(axis=0, initial=0.0)
    found: FloatArray = np.maximum(divided(worst, size), NOTHING_KNOWN)
    return found


def _weighted(scores: FloatArray, weights: FloatArray, overlap: float) -> FloatArray:
    """[group]: the quantile of [origin, group] that as many errors support as are independent; nan: there are none."""
    counts = ~np.isnan(scores)
    order = np.argsort(scores, axis=0)  # nan comes last
    rising = np.take_along_axis(scores, order, axis=0)
    weighed = np.take_along_axis(weights[:, np.newaxis] * counts, order, axis=0)
    total = weighed.sum(axis=0)
    independent = np.maximum(divided(total**2, (weighed**2).sum(axis=0)) * _INDEPENDENCE / overlap, 1.0)
    wanted = np.minimum(COVERAGE * (1 + 1 / independent), 1.0) * total
    before = (np.cumsum(weighed, axis=0) < wanted * (1 - 1e-12)).sum(axis=0)
    place = np.minimum(before, np.maximum(counts.sum(axis=0) - 1, 0))
    found: FloatArray = np.take_along_axis(rising, place[np.newaxis], axis=0)[0]
    return found


def _off(
    paths: Paths, member: FloatArray, origin: int, horizons: IntArray, usual: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """[group, horizon]: how far off the forecast was, and what that is relative to."""
    days = int(horizons[-1])
    forecast = member @ _totals(paths.expected(origin, days) * paths.known(origin, days), horizons)
    happened = member @ _totals(paths.happened(origin, days), horizons)
    return np.abs(happened - forecast), sizes(forecast, usual, horizons)


def _totals(path: FloatArray, horizons: IntArray) -> FloatArray:
    """[series, horizon]: totals of the first days of `path` [day, series]."""
    starts = np.concatenate([[0], horizons[:-1]])
    found: FloatArray = np.cumsum(np.add.reduceat(path, starts, axis=0), axis=0).T
    return found


def _usual(paths: Paths, member: FloatArray) -> FloatArray:
    happened = np.abs(member @ paths.happened(0, paths.days).T).T
    usual = np.zeros((paths.days + 1, len(member)))
    spent, days = np.zeros(len(member)), np.zeros(len(member))
    for day, today in enumerate(happened):
        spent = spent * _USUAL_FADING + today
        days = days * _USUAL_FADING + (spent > 0)
        usual[day + 1] = divided(spent, days)
    return usual


def _trouble(origins: IntArray, horizons: IntArray, relative: FloatArray, days: int) -> FloatArray:
    found = np.full((days + 1, relative.shape[1]), np.nan)
    place = min(int(np.searchsorted(horizons, _TROUBLED_DAYS)), len(horizons) - 1)
    off, weight, noted = (np.zeros(relative.shape[1]) for _ in range(3))
    for error, known_from in zip(relative[:, :, place], origins + horizons[place], strict=True):
        counts = ~np.isnan(error)
        off = np.where(counts, off * _TROUBLE_FADING + np.nan_to_num(error), off)
        weight = np.where(counts, weight * _TROUBLE_FADING + 1, weight)
        noted += counts
        found[known_from:] = np.where(noted >= _LEAST_NOTED, divided(off, weight) + _LEAST_TROUBLE, np.nan)
    return found


def _first(trouble: FloatArray) -> FloatArray:
    """[group]: the first trouble that was known, which stands for the days before it; nan where none ever was."""
    known = ~np.isnan(trouble)
    found: FloatArray = np.take_along_axis(trouble, known.argmax(axis=0)[np.newaxis], axis=0)[0]
    return found
