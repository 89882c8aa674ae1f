"""Made-up histories: a city's weeks, with everything that spoils a series."""

from datetime import date

import numpy as np
from hypothesis import strategies as st

from services.cost_alerts.domain.foresight.arrays import BoolArray, FloatArray
from services.cost_alerts.domain.foresight.model import History

FIRST_DAY = date(2026, 6, 29)
"""A Monday; no holiday falls on a working day until 23 December."""

OFFICE = np.array([1.0, 1.05, 1.0, 1.0, 0.8, 0.05, 0.03])


def weekly(days: int, level: float = 100.0, first_day: date = FIRST_DAY) -> FloatArray:
    """An office's days without any noise."""
    return level * OFFICE[(np.arange(days) + first_day.weekday()) % 7]


def noisy(days: int, level: float = 100.0, *, noise: float = 0.2, monthly: float = 0.0, seed: int = 1) -> FloatArray:
    """An office's days, growing by a share every 30 days."""
    chance = np.random.default_rng(seed)
    growth = (1 + monthly) ** (np.arange(days) / 30)
    found: FloatArray = weekly(days, level) * growth * np.maximum(chance.normal(1.0, noise, days), 0.0)
    return found


def history_of(*series: FloatArray, first_day: date = FIRST_DAY) -> History:
    return History(first_day, np.array(series, dtype=np.float64))


def each_and_all(series: int) -> BoolArray:
    """A group for each series, and one of all."""
    return np.vstack([np.eye(series, dtype=bool), np.ones((1, series), dtype=bool)])


@st.composite
def histories(draw: st.DrawFn, *, negative: bool = False, gaps: bool = True, least: int = 1) -> History:
    """Up to four series of up to four months: some begin, end, jump, pause, are rare or have gaps or corrections."""
    days = draw(st.integers(least, 130))
    rows = [
        _spoilt(draw, noisy(days, seed=draw(st.integers(0, 9)), level=draw(_LEVELS)), gaps, negative)
        for _ in range(draw(st.integers(1, 4)))
    ]
    return history_of(*rows)


_LEVELS = st.sampled_from([1e-6, 1.0, 250.0, 1e9])


def _spoilt(draw: st.DrawFn, row: FloatArray, gaps: bool, negative: bool) -> FloatArray:
    at = draw(st.integers(0, len(row)))
    how = draw(st.sampled_from(["plain", "begins", "ends", "jumps", "nothing", "rare", "gap", "correction"]))
    if how == "begins":
        row[:at] = 0.0
    elif how == "ends":
        row[at:] = 0.0
    elif how == "jumps":
        row[at:] *= draw(st.sampled_from([0.1, 3.0, 50.0]))
    elif how == "nothing":
        row[:] = 0.0
    elif how == "rare":
        row[np.arange(len(row)) % 17 != 3] = 0.0
    elif how == "gap" and gaps:
        row[at : at + 12] = np.nan
    elif how == "correction" and negative:
        row[at : at + 1] *= -8.0
    return row
