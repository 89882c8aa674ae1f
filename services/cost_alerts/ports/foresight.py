"""What forecasts are made from, and where they are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from services.cost_alerts.domain.foresight.effect import PlannedEffect
from services.cost_alerts.domain.foresight.forecast import Forecast
from services.cost_alerts.domain.foresight.pools import PoolOutlook


@dataclass(frozen=True, slots=True)
class Made:
    """What was forecast in the morning of a day."""

    made_on: date
    forecasts: Sequence[Forecast]
    pools: Sequence[PoolOutlook]
    planned: Sequence[PlannedEffect]
