"""What a message to people holds before it is put into words: the outbox keeps it, each channel renders it."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict

from services.shared.events.envelope import Id, Name, Utc
from services.shared.events.outcomes import AlertKind, Condition, Crossing, Severity
from services.shared.money import ExactDecimal

Language = Literal["fi", "sv", "en"]

LetterKind = Literal["budget", "budget_forecast"] | AlertKind
"""What a letter is about: a threshold passed by what is used, or by the forecast of the year, or a condition."""

_WHOLE = Decimal(1)

Action = Literal[
    "decide_on_budget",
    "slow_down_use",
    "take_back_seats",
    "buy_a_larger_pool",
    "look_at_source",
    "publish_tariff",
    "negotiate_contract",
    "give_notice",
    "look_at_use",
    "plan_for_price",
]
"""What can be done; the words are in `web/texts.yaml`."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Named(_Part):
    """A unit or system with its names, as the register had them when the alert was decided."""

    id: Id
    name: Mapping[Language, Name]
    cost_centre: Name | None = None


class Mover(_Part):
    """What moved the cost: of the last 28 complete days beside the 28 before them."""

    unit: Named
    system: Named
    sku: Name
    before_eur: ExactDecimal
    after_eur: ExactDecimal


class Point(_Part):
    """A day of the small chart."""

    day: date
    eur: ExactDecimal


class Briefing(_Part):
    """What somebody must know to act.

    Attributes:
        movers: at most three, the largest change first.
        lasts_until: the day on which the money, or the pool, is used up at the present rate; None: it lasts.
        path: of the page that tells more, below the public address; without a leading slash.
        chart: cost by day, the last 60 complete days or fewer, rising; of a pool: what was left by day.
        limit: a level line in the chart.
    """

    unit: Named | None
    system: Named | None
    movers: tuple[Mover, ...] = ()
    lasts_until: date | None = None
    actions: tuple[Action, ...] = ()
    path: str = ""
    chart: tuple[Point, ...] = ()
    limit: ExactDecimal | None = None


class Letter(_Part):
    """One alert on its way to a role: a crossing, or a condition that began or (`resolved`) ended.

    `also`: crossings of budgets above, which this message tells too, so that one overrun rings once.
    `forecast_low_eur`, `forecast_high_eur`: the limits around the crossing's `forecast_eur`, where it has one.
    """

    alert_id: Id
    decided_at: Utc
    crossing: Crossing | None = None
    also: tuple[Crossing, ...] = ()
    condition: Condition | None = None
    resolved: bool = False
    forecast_low_eur: ExactDecimal | None = None
    forecast_high_eur: ExactDecimal | None = None
    briefing: Briefing

    @property
    def kind(self) -> LetterKind:
        """What it is about."""
        if self.condition is not None:
            return self.condition.kind
        return "budget_forecast" if self.crossing is not None and self.crossing.measure == "forecast" else "budget"

    @property
    def severity(self) -> Severity:
        """How urgent it is. Money that is gone is critical, money that will be gone a warning; good news can wait."""
        if self.resolved:
            return "info"
        if self.condition is not None:
            return self.condition.severity
        over = any(one.measure == "used" and one.threshold >= _WHOLE for one in self._crossings)
        return "critical" if over else "warning"

    @property
    def _crossings(self) -> tuple[Crossing, ...]:
        return self.also if self.crossing is None else (self.crossing, *self.also)
