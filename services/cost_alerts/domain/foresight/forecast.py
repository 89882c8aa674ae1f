"""What a month or a year will have cost at its end, as it was forecast on a day.

Estimates: floats end here, and money is told in whole 10⁻⁹ euro, so that parts add up where they are shown.
"""

from datetime import date
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

Level = Literal["city", "unit", "system", "vendor", "budget"]

COVERAGE = 0.8
"""The share of all totals that should fall between `low` and `high`."""

Reason = Literal["not_enough_data"]


class Range(NamedTuple):
    """An estimate and its limits: `low` ≤ `mid` ≤ `high`; 10⁻⁹ euro."""

    low: int
    mid: int
    high: int


class Forecast(BaseModel):
    """The cost of the Helsinki days `first` to `last` (inclusive), as forecast in the morning of `made_on`.

    Attributes:
        name: unit, system, vendor or budget id; empty for the city.
        actual_nano: what the days before `made_on` have cost.
        fixed_nano: what contracts still demand on the days from `made_on` on, used or not.
        renewed_nano: the fixed cost after contracts that end within the stretch, if they are renewed as they are.
        planned_nano: what planned changes add to all that (negative: save).
        variable: the consumption still to come, at prices that are already known; None: nobody can say yet.
        reason: why there is no `variable`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Level
    name: str
    made_on: date
    first: date
    last: date
    actual_nano: int
    fixed_nano: int
    renewed_nano: int
    planned_nano: int
    variable: Range | None
    reason: Reason | None = None

    @property
    def total(self) -> Range | None:
        """What the whole stretch will have cost."""
        if self.variable is None:
            return None
        known = self.actual_nano + self.fixed_nano + self.renewed_nano + self.planned_nano
        return Range(*(known + part for part in self.variable))
