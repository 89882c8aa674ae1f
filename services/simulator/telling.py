"""The stories' figures, as anybody can ask the program for them: over its HTTP interface."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from services.simulator.apps import CHATBOT_SOURCE
from services.simulator.claude import RUNAWAY
from services.simulator.copilot import COPILOT
from services.simulator.moving import ENDING_CONTRACT, FORECAST_BUDGET, PASSED_BUDGET
from services.simulator.past import DIRECTORY
from services.simulator.platforms import STUDIO
from services.simulator.register import LATE_TARIFF, REORGANISATION
from services.simulator.stories import Stories
from services.simulator.telling_governance import governance_told

Document = Mapping[str, Any]
Get = Callable[[str], str]
"""Path → the text that the program answers with."""

Find = Callable[[Document], bool]

ANTHROPIC_SOURCE = "anthropic/analytics"
SHOWN_CHARACTERS = 12
"""So much of an alert's id tells it from the others."""

RULES: Mapping[str, str] = {
    "price_rise": "PriceRiseAnnounced",
    "credit_pool": "PoolRunsDry",
    "unit_over_budget": "BudgetUsedUp",
    "forecast_over_budget": "BudgetForecastPassed",
    "idle_seats": "SeatsIdle",
    "source_outage": "CollectionGap",
    "restated_file": "CostRestated",
    "model_without_tariff": "ReadingsUnpriced",
    "late_tariff": "CostRestated",
    "reorganisation": "CostRestated",
    "contract_ending": "ContractEnding",
    "used_unreviewed": "FindingSevere",
    "used_while_suspended": "FindingSevere",
    "uncovered_model": "FindingSevere",
    "incident_told_late": "FindingSevere",
    "self_review": "FindingsOpen",
    "reviewer_without_training": "FindingsOpen",
    "bulk_over_limit": "FindingsOpen",
    "rejected_and_sent_again": "FindingsOpen",
}
"""Story → the Prometheus rule that operations would hear of it by (deploy/prometheus)."""


def stories_told(get: Get, ask: Callable[[str], Document], stories: Stories, model_without_tariff: str) -> Document:
    """Each story's figures, its alert, and the command that tells more; null where the simulated days have none.

    `get`: a path's text; `ask`: a path's JSON document.
    """
    told = _Told(get, ask, stories)
    found: dict[str, Document | None] = {
        "price_rise": told.price_rise(),
        "credit_pool": told.credit_pool(),
        "unit_over_budget": told.unit_over_budget(),
        "forecast_over_budget": told.forecast_over_budget(),
        "idle_seats": told.idle_seats(),
        "licences": told.licences(),
        "source_outage": told.source_outage(),
        "restated_file": told.restated_file(),
        "model_without_tariff": told.without_tariff(model_without_tariff),
        "late_tariff": told.restated(LATE_TARIFF.reason),
        "reorganisation": told.restated(REORGANISATION.reason),
        "contract_ending": told.contract_ending(),
        "anomaly": told.anomaly(),
        "use_case": told.use_case(),
        "invoice": told.invoice(),
        **governance_told(ask, model_without_tariff, stories.today),
    }
    return {name: one and {**one, "rule": RULES.get(name)} for name, one in found.items()}


@dataclass
class _Told:
    """What the program says, asked for once each."""

    get: Get
    ask: Callable[[str], Document]
    stories: Stories

    def price_rise(self) -> Document | None:
        """The dearest announced rise: what it adds a month."""
        rises = [one for one in self._conditions if one["kind"] == "price_rising"]
        found = max(rises, key=lambda one: Decimal(one["figures"]["monthly_eur"]), default=None)
        if found is None:
            return None
        figures = {"system": found["system"], "from": found["until"], "monthly_eur": found["figures"]["monthly_eur"]}
        return {**figures, "alert": _alert(found), "page": "/foresight", "command": "valvomo forecast"}

    def unit_over_budget(self) -> Document | None:
        budget = max(self._budgets_of(PASSED_BUDGET), key=lambda one: Decimal(one["used_ratio"] or 0), default=None)
        return budget and {**_budget(budget), **self._crossed(budget, "used")}

    def forecast_over_budget(self) -> Document | None:
        """The budget that is not passed, but will be: None where too few days are known, or left."""
        year = self.stories.today.year
        budget = next((one for one in self._budgets_of(FORECAST_BUDGET) if one["period"] == year), None)
        if budget is None or budget["forecast_eur"] is None:
            return None
        return {**_budget(budget), "forecast_eur": budget["forecast_eur"], **self._crossed(budget, "forecast")}

    def idle_seats(self) -> Document | None:
        seats = {name: self._metric("valvomo_seats", system=COPILOT, state=name) for name in ("purchased", "active")}
        cost = self._metric("valvomo_idle_seat_cost_eur", system=COPILOT)
        if cost is None or None in seats.values():
            return None
        figures = {**seats, "month_eur": f"{cost:.2f}"}
        return {"system": COPILOT, **figures, "alert": None, "page": "/foresight", "command": "valvomo value"}

    def licences(self) -> Document | None:
        """What the paid Copilot adds to the chat that everybody has."""
        found = next((one for one in self._value["licences"] if one["system"] == COPILOT), None)
        if found is None or found["paid_use"]["per_person_in_30_days"] is None:
            return None
        names = ("system", "base", "eur", "eur_per_active_person", "users", "change")
        return {**{name: found[name] for name in names}, "alert": None, "page": None, "command": "valvomo value"}

    def use_case(self) -> Document | None:
        """The use whose results cost least, of those that somebody reported."""
        known = [one for one in self._value["use_cases"] if one["eur_per_result"] is not None]
        found = min(known, key=lambda one: (Decimal(one["eur_per_result"]), one["use_case"]), default=None)
        if found is None:
            return None
        figures = {name: found[name] for name in ("use_case", "eur_per_result", "benefit", "months")}
        return {**figures, "alert": None, "page": None, "command": "valvomo value"}

    def source_outage(self) -> Document | None:
        days = self._metric("valvomo_collection_gap_days", source=DIRECTORY)
        if not days:
            return None
        first, last = self.stories.outage
        figures = {"source": DIRECTORY, "days": int(days), "first_day": str(first), "last_day": str(last)}
        alert = self._condition("no_data", lambda one: DIRECTORY in one["about"])
        return {**figures, "alert": alert, "page": "/metrics", "command": "valvomo doctor"}

    def without_tariff(self, model: str) -> Document | None:
        alert = self._condition("price_missing", lambda one: bool(one["about"].endswith(model)))
        if alert is None:
            return None
        figures = {"model": model, "since": alert["since"], "readings": alert["figures"]["readings"]}
        return {**figures, "alert": alert, "page": "/", "command": "valvomo doctor"}

    def contract_ending(self) -> Document | None:
        alert = self._condition("contract_ending", lambda one: bool(one["about"] == ENDING_CONTRACT))
        if alert is None:
            return None
        figures = {"contract": alert["about"], "act_by": alert["until"], "days_left": alert["figures"]["days_left"]}
        return {**figures, "alert": alert, "page": "/foresight", "command": _shown(alert)}

    def anomaly(self) -> Document | None:
        alert = self._condition("anomaly", lambda one: one["unit"] is not None and RUNAWAY.startswith(one["unit"]))
        if alert is None:
            return None
        figures = {"unit": alert["unit"], "system": alert["system"], "since": alert["since"], **alert["figures"]}
        return {**figures, "alert": alert, "page": "/foresight", "command": _shown(alert)}

    def restated(self, reason: str | None) -> Document | None:
        found = (one for one in self.ask("/api/v1/restatements")["restatements"] if one["reason"] == reason)
        one = next(found, None)
        if one is None:
            return None
        names = ("register_version", "reason", "author", "first_day", "last_day", "unpriced_before", "unpriced_after")
        figures = {name: one[name] for name in (*names, "before_eur", "after_eur")}
        return figures | {"page": "/ledger#restated", "command": "valvomo ledger history"}

    def restated_file(self) -> Document | None:
        days = {CHATBOT_SOURCE: self.stories.restated_file_day, ANTHROPIC_SOURCE: self.stories.restated_day}
        found = [
            one
            for one in self.ask("/api/v1/revisions")["revisions"]
            if one["day"] == str(days.get(one["source"], "no such day"))
        ]
        if not found:
            return None
        return {"days": found, "page": "/ledger#restated", "command": "valvomo ledger history"}

    def credit_pool(self) -> Document | None:
        month = self.stories.fullest_month
        pool = next(iter(self.ask(f"/api/v1/pools?month={month}")["pools"]), None)
        if pool is None:
            return None
        names = ("pool", "size", "used", "left", "beyond", "price", "next_unit", "exhausted_at", "units")
        found: dict[str, Any] = {"month": str(month), **{name: pool[name] for name in names}}
        for name in ("allocated_eur", "marginal_eur"):
            found[name] = str(sum((Decimal(unit[name] or 0) for unit in pool["units"].values()), Decimal()))
        alert = self._condition("pool_running_dry", lambda one: bool(one["system"] == STUDIO))
        return found | {
            "alert": alert,
            "page": f"/ledger?month={month}#pools",
            "command": f"valvomo pools --month {month}",
        }

    def invoice(self) -> Document | None:
        month = self.stories.invoiced_month
        if month is None:
            return None
        one = next(iter(self.ask(f"/api/v1/invoices?month={month}")["reconciliations"]), None)
        if one is None:
            return None
        return {**one, "page": "/ledger#invoices", "command": f"valvomo invoices --month {month}"}

    @cached_property
    def _alerts(self) -> Document:
        return self.ask("/api/v1/alerts")

    @property
    def _conditions(self) -> Iterator[Document]:
        return (one for one in self._alerts["conditions"] if one["state"] == "open")

    def _condition(self, kind: str, fits: Find) -> Document | None:
        found = next((one for one in self._conditions if one["kind"] == kind and fits(one)), None)
        return None if found is None else _alert(found)

    @cached_property
    def _value(self) -> Document:
        return self.ask("/api/v1/value")

    def _budgets_of(self, unit: str) -> list[Document]:
        return [one for one in self.ask("/api/v1/budgets")["budgets"] if one["id"] == f"{unit}-{one['period']}"]

    def _crossed(self, budget: Document, measure: str) -> Document:
        """The thresholds that were told of a budget, and where to read on."""
        mine = [one for one in self._alerts["alerts"] if (one["budget"], one["measure"]) == (budget["id"], measure)]
        thresholds = sorted((one["threshold"] for one in mine), key=Decimal)
        spoken = max((one for one in mine if one["spoken"]), key=lambda one: Decimal(one["threshold"]), default=None)
        alert = spoken and {name: spoken[name] for name in ("alert_id", "measure", "threshold", "recipients")}
        return {"thresholds": thresholds, "alert": alert, "page": "/", "command": "valvomo budgets"}

    @cached_property
    def _metrics(self) -> Mapping[str, list[tuple[Mapping[str, str], float]]]:
        found: dict[str, list[tuple[Mapping[str, str], float]]] = {}
        for family in text_string_to_metric_families(self.get("/metrics")):
            for sample in family.samples:
                found.setdefault(sample.name, []).append((sample.labels, sample.value))
        return found

    def _metric(self, name: str, **labels: str) -> float | None:
        """A gauge's value; None when it is not told. What a board shows, so for eyes only."""
        found = self._metrics.get(name, [])
        return next((value for said, value in found if labels.items() <= said.items()), None)


def _alert(found: Document) -> Document:
    """What was told to people. Without the moment, which is that of the demo."""
    names = ("alert_id", "kind", "severity", "unit", "system", "about", "since", "until", "figures", "recipients")
    return {name: found[name] for name in names}


def _shown(alert: Document) -> str:
    return f"valvomo alerts show {alert['alert_id'][:SHOWN_CHARACTERS]}"


def _budget(found: Document) -> dict[str, Any]:
    return {"budget": found["id"], "amount_eur": found["amount_eur"], "used_eur": found["used_eur"]}
