"""The little statistics that shares of reviews need. Pure; shares are for eyes, so floats will do."""

from math import sqrt
from typing import NamedTuple

_Z = 1.959963984540054
"""Of a two-sided interval of 95 %."""


class Interval(NamedTuple):
    """Between these the true share lies, with 95 % confidence."""

    low: float
    high: float


def wilson(count: int, of: int) -> Interval:
    """The Wilson interval of a share: honest also for none or all of few (0 of 30 is 0 to 11 %).

    Raises:
        ValueError: nothing was counted, or more than there was.
    """
    if not 0 <= count <= of or of == 0:
        raise ValueError(f"found {count} of {of}; a share needs at least one item and no more hits than items")
    share, square = count / of, _Z * _Z
    middle = share + square / (2 * of)
    reach = _Z * sqrt(share * (1 - share) / of + square / (4 * of * of))
    whole = 1 + square / of
    return Interval(max(0.0, min(share, (middle - reach) / whole)), min(1.0, max(share, (middle + reach) / whole)))
