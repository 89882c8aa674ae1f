"""What the forecasts of a day are made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from services.cost_alerts.domain.budgets.scope import Where
from services.cost_alerts.domain.foresight.arrays import FloatArray
from services.cost_alerts.domain.foresight.consumption import Spent
from services.cost_alerts.domain.foresight.fixed import Standing
from services.cost_alerts.domain.foresight.pools import PoolUse


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the forecasts of a day are made from.

    Attributes:
        spent: up to the day before `today`.
        beyond: place → day (ordinal) → what use beyond prepaid pools cost; it is part of `spent`.
        prices: system → price level by day, of the days of `spent` and then of those ahead to the end of the year; 1:
            as today. A system that is left out keeps its prices.
        by_sku: place → SKU → its part of the use of late, where a planned change asks for it.
    """

    today: date
    spent: Spent
    standing: Standing
    pools: Sequence[PoolUse] = ()
    beyond: Mapping[Where, Mapping[int, int]] = field(default_factory=dict)
    prices: Mapping[str, FloatArray] = field(default_factory=dict)
    by_sku: Mapping[Where, Mapping[str, float]] = field(default_factory=dict)

    @property
    def until(self) -> date:
        """The last day of the year."""
        return date(self.today.year, 12, 31)

    @property
    def days(self) -> int:
        """The days ahead, today and the last day of the year among them."""
        return (self.until - self.today).days + 1

    def ahead(self, system: str) -> FloatArray:
        """The price levels of the days ahead."""
        levels = self.prices.get(system)
        return np.ones(self.days) if levels is None else levels[self.spent.days :]
