"""What makes a figure a risk: its limits, and so its state. Prometheus rules and boards use the same limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

RiskName = Literal[
    "variable_share",
    "announced_prices",
    "ten_percent_rise",
    "fx_exposure",
    "vendor_concentration",
    "model_dependence",
    "pool_exhaustion",
    "idle_seats",
    "unpriced",
    "unallocated",
    "restated",
    "data_age",
    "forecast_error",
    "forecast_coverage",
    "contract_end",
    "price_model",
    "jurisdiction",
    "region_unknown",
]

Measure = Literal["ratio", "index", "days"]
State = Literal["fine", "near", "over", "unknown"]
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True, slots=True)
class Limit:
    """From where on a figure is `near`, and from where on it is `over`; below, where `falling`."""

    near: Fraction
    over: Fraction
    measure: Measure = "ratio"
    falling: bool = False

    def state(self, figure: Fraction | None) -> State:
        if figure is None:
            return "unknown"
        near, over = (figure < edge if self.falling else figure > edge for edge in (self.near, self.over))
        return "over" if over else "near" if near else "fine"


def _limit(near: str, over: str, measure: Measure = "ratio", *, falling: bool = False) -> Limit:
    return Limit(Fraction(near), Fraction(over), measure, falling)


LIMITS: Mapping[RiskName, Limit] = {
    "variable_share": _limit("0.5", "0.7"),
    "announced_prices": _limit("0.02", "0.05"),
    "ten_percent_rise": _limit("0.04", "0.06"),
    "fx_exposure": _limit("0.03", "0.05"),
    "vendor_concentration": _limit("0.25", "0.5", "index"),
    "model_dependence": _limit("0.6", "0.8"),
    "pool_exhaustion": _limit("0", "3", "days"),
    "idle_seats": _limit("0.1", "0.2"),
    "unpriced": _limit("0", "0.01"),
    "unallocated": _limit("0.02", "0.05"),
    "restated": _limit("0.02", "0.05"),
    "data_age": _limit("3", "4", "days"),
    "forecast_error": _limit("0.1", "0.2"),
    "forecast_coverage": _limit("0.75", "0.65", falling=True),
    "contract_end": _limit("180", "90", "days", falling=True),
    "price_model": _limit("0.7", "0.85"),
    "jurisdiction": _limit("0.7", "0.9"),
    "region_unknown": _limit("0", "0.2"),
}
"""The limit of every risk. They are ours, chosen so that a small city with three vendors is not always red."""

WHAT_TO_DO: Mapping[RiskName, str] = {
    "variable_share": "Buy what is used evenly as seats, pools or capacity; keep pay-as-you-go for what is tried out.",
    "announced_prices": "Plan for it in the coming budgets, order before the day, or ask the vendor for a fixed price.",
    "ten_percent_rise": "Ask for a price ceiling at the renewal; know a second vendor for the largest system.",
    "fx_exposure": "Ask for a contract in euro; keep a reserve of the ten per cent in the budget.",
    "vendor_concentration": "Try a second vendor where systems can be exchanged; make the exit a part of the contract.",
    "model_dependence": "Run the tests of the largest uses with a second model, so that a change takes days.",
    "pool_exhaustion": "Buy a larger pool, or slow down what draws most; beyond the pool each unit is charged.",
    "idle_seats": "Take seats back after 28 idle days, give them to those who wait, order fewer at the renewal.",
    "unpriced": "Publish the missing tariffs; what was used is then priced by itself.",
    "unallocated": "Add a rule or a placement for the accounts that belong to nobody.",
    "restated": "Find out why prices came late; ask the vendor to announce them before they hold.",
    "data_age": "Look at the source that is late; until then its cost is missing from every sum.",
    "forecast_error": "Read the back-test by system; enter roll-outs and endings as planned changes.",
    "forecast_coverage": "Trust the limits less until the next back-test; look for a jump that nobody had planned.",
    "contract_end": "Decide before the day of notice: renew, renegotiate with these figures, or leave.",
    "price_model": "Mix models of price: what is certain by seat or pool, what is uncertain by use.",
    "jurisdiction": "Know what would still run without these vendors; weigh it at the next tender.",
    "region_unknown": "Write where each system processes its data into systems.yaml, or ask the vendor.",
}
"""What somebody can do about it, in a sentence; boards and the command line show it."""


@dataclass(frozen=True, slots=True)
class Risk:
    """A risk as it stands: its figure beside its limit.

    `about`: which vendor, currency, system, pool, contract or country; empty: the city as a whole. `eur_nano`: how
    much money it is about, 10⁻⁹ euro; None where it is not about an amount.
    """

    name: RiskName
    about: str
    figure: Fraction | None
    eur_nano: int | None = None

    @property
    def limit(self) -> Limit:
        return LIMITS[self.name]

    @property
    def state(self) -> State:
        return self.limit.state(self.figure)
