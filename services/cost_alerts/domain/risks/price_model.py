"""How what is spent is priced: by which of the few models that vendors use. The table of meters stands here, once."""

from typing import Literal

from services.cost_alerts.domain.agreements.fixed import FEE, HOURS, INDIRECT
from services.cost_alerts.domain.agreements.seating import METER as SEATS
from services.cost_alerts.domain.risks.spending import Kind

PriceModel = Literal["seat", "credit", "token", "call", "capacity", "transfer", "fee", "other"]

ADJUSTMENT, USAGE = "Adjustment", "Usage"
"""Categories of charges: what an invoice put right, and what use has cost."""

PRICE_MODELS: dict[str, PriceModel] = {
    SEATS: "seat",
    "credits": "credit",
    "assists": "credit",
    "input_tokens": "token",
    "cache_read_tokens": "token",
    "cache_write_5m_tokens": "token",
    "cache_write_1h_tokens": "token",
    "output_tokens": "token",
    "requests": "call",
    "web_searches": "call",
    "conversations": "call",
    "messages": "call",
    "audio_minutes": "call",
    "characters": "call",
    HOURS: "capacity",
    "gigabytes": "transfer",
    FEE: "fee",
    INDIRECT: "fee",
}
"""Meter → price model. A prepaid pool is charged under the meter it counts, so that a pack of credits is `credit`."""


def price_model(kind: Kind) -> PriceModel:
    """The model by which a kind of spending is priced; `other` for a vendor's own meters, minimums and true-ups."""
    return PRICE_MODELS.get(kind.meter, "other")


def is_variable(kind: Kind) -> bool:
    """Whether more use costs more at once: consumption, but not capacity, which is paid for by the hour in any case."""
    return kind.category == USAGE and kind.meter != HOURS
