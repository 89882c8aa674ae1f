"""The stories' figures, before and after, as anybody can ask the program for them: over its HTTP interface."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from services.simulator.apps import CHATBOT_SOURCE
from services.simulator.register import LATE_TARIFF, REORGANISATION
from services.simulator.stories import Stories

Get = Callable[[str], Mapping[str, Any]]
"""Path → the document that the program answers with."""

ANTHROPIC_SOURCE = "anthropic/analytics"


def stories_told(get: Get, stories: Stories) -> dict[str, Any]:
    """Each story's figures; null where the simulated days have no such day, for example no month that is over."""
    restated = {one["reason"]: one for one in get("/api/v1/restatements")["restatements"]}
    return {
        "late_tariff": _restated(restated.get(LATE_TARIFF.reason)),
        "restated_file": _restated_file(get, stories),
        "reorganisation": _restated(restated.get(REORGANISATION.reason)),
        "credit_pool": _credit_pool(get, stories),
        "invoice": _invoice(get, stories),
    }


def _restated(one: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if one is None:
        return None
    names = ("register_version", "reason", "author", "first_day", "last_day", "unpriced_before", "unpriced_after")
    found = {name: one[name] for name in (*names, "before_eur", "after_eur")}
    return found | {"page": "/ledger#restated", "command": "valvomo ledger history"}


def _restated_file(get: Get, stories: Stories) -> Mapping[str, Any] | None:
    days = {CHATBOT_SOURCE: stories.restated_file_day, ANTHROPIC_SOURCE: stories.restated_day}
    found = [
        one
        for one in get("/api/v1/revisions")["revisions"]
        if one["day"] == str(days.get(one["source"], "no such day"))
    ]
    if not found:
        return None
    return {"days": found, "page": "/ledger#restated", "command": "valvomo ledger history"}


def _credit_pool(get: Get, stories: Stories) -> Mapping[str, Any] | None:
    month = stories.fullest_month
    pool = next(iter(get(f"/api/v1/pools?month={month}")["pools"]), None)
    if pool is None:
        return None
    names = ("pool", "size", "used", "left", "beyond", "price", "next_unit", "exhausted_at", "units")
    found: dict[str, Any] = {"month": str(month), **{name: pool[name] for name in names}}
    for name in ("allocated_eur", "marginal_eur"):
        found[name] = str(sum((Decimal(unit[name] or 0) for unit in pool["units"].values()), Decimal()))
    return found | {"page": f"/ledger?month={month}#pools", "command": f"valvomo pools --month {month}"}


def _invoice(get: Get, stories: Stories) -> Mapping[str, Any] | None:
    month = stories.invoiced_month
    if month is None:
        return None
    one = next(iter(get(f"/api/v1/invoices?month={month}")["reconciliations"]), None)
    if one is None:
        return None
    return {**one, "page": "/ledger#invoices", "command": f"valvomo invoices --month {month}"}
