"""What can be done about an alert of each kind, the most useful first."""

from collections.abc import Mapping, Sequence

from services.cost_alerts.domain.alerts.letter import Action
from services.shared.events.outcomes import AlertKind

ACTIONS: Mapping[AlertKind, Sequence[Action]] = {
    "no_data": ("look_at_source",),
    "price_missing": ("publish_tariff",),
    "price_rising": ("plan_for_price", "negotiate_contract", "slow_down_use"),
    "tariff_expiring": ("publish_tariff", "negotiate_contract"),
    "pool_running_dry": ("buy_a_larger_pool", "slow_down_use"),
    "contract_ending": ("negotiate_contract", "give_notice"),
    "anomaly": ("look_at_use", "slow_down_use"),
}

OF_BUDGET: Sequence[Action] = ("decide_on_budget", "slow_down_use", "take_back_seats")
"""What can be done about a budget's threshold."""

PATHS: Mapping[AlertKind, str] = {
    "no_data": "#units",
    "price_missing": "#missing",
    "price_rising": "#units",
    "tariff_expiring": "#units",
    "pool_running_dry": "ledger#pools",
    "contract_ending": "#units",
    "anomaly": "#units",
}
"""Which page tells more, below the public address."""
