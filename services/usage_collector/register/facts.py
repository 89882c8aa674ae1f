"""The kinds of facts in the register: where each is written, how it is named, and which event carries it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from services.shared.events import event_id, plans, prices
from services.shared.events import register as events
from services.shared.events.envelope import Fact

SOURCE = "valvomo/register"

FactKey = tuple[str, str]
"""(kind, fact id)."""

Facts = Mapping[FactKey, Fact]
"""Everything that holds in one version of the register."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fact. `file` is where people write it; `*` in it stands for any name."""

    name: str
    file: str
    model: type[Fact]
    event: type[events.RegisterChange]
    change: type[events.RegisterFact]
    fact_id: Callable[[Any], str]


def _id(fact: Any) -> str:  # noqa: ANN401  # each kind has its own model; the table below pairs them
    return str(fact.id)


def _dated_id(fact: Any) -> str:  # noqa: ANN401
    return f"{fact.id}@{fact.valid_from}"


def _mandate_id(fact: events.ReviewerMandate) -> str:
    return f"{fact.reviewer}@{fact.unit}@{fact.valid_from}"


KINDS = (
    Kind("unit", "units.yaml", events.Unit, events.UnitDefined, events.UnitChange, _dated_id),
    Kind("system", "systems.yaml", events.System, events.SystemDefined, events.SystemChange, _id),
    Kind(
        "allocation", "allocation.yaml", events.AllocationRule, events.AllocationDefined, events.AllocationChange, _id
    ),
    Kind("contract", "contracts.yaml", prices.Contract, events.ContractDefined, events.ContractChange, _dated_id),
    Kind("vendor", "vendors.yaml", plans.Vendor, events.VendorDefined, events.VendorChange, _id),
    Kind("programme", "programmes.yaml", plans.Programme, events.ProgrammeDefined, events.ProgrammeChange, _id),
    Kind("planned", "planned.yaml", plans.PlannedChange, events.ChangePlanned, events.PlannedChangeChange, _id),
    Kind("benefit", "benefits.yaml", plans.BenefitResult, events.BenefitReported, events.BenefitChange, _id),
    Kind("budget", "budgets.yaml", plans.Budget, events.BudgetSet, events.BudgetChange, _id),
    Kind("usecase", "usecases.yaml", events.UseCase, events.UseCaseRegistered, events.UseCaseChange, _dated_id),
    Kind(
        "reviewer",
        "reviewers.yaml",
        events.ReviewerMandate,
        events.ReviewerMandated,
        events.ReviewerChange,
        _mandate_id,
    ),
    Kind("policy", "policy.yaml", events.Policy, events.PolicyPublished, events.PolicyChange, _dated_id),
    Kind("fx", "fx.yaml", events.FxRates, events.FxPublished, events.FxChange, lambda fact: str(fact.day)),
    Kind(
        "placement",
        "people.csv",
        events.Placement,
        events.PersonPlaced,
        events.PlacementChange,
        lambda fact: f"{fact.person}@{fact.valid_from}",
    ),
    Kind("tariff", "tariffs/*.yaml", prices.Tariff, events.TariffPublished, events.TariffChange, _id),
)

KIND = {kind.name: kind for kind in KINDS}
_KIND_OF_EVENT = {kind.event: kind.name for kind in KINDS}


def key_of_change(event: events.RegisterChange) -> FactKey:
    """Which fact an event is about."""
    return _KIND_OF_EVENT[type(event)], event.data.fact_id


def canonical(fact: Fact | None) -> str:
    """A fact as text: the same fact always gives the same text."""
    return "null" if fact is None else json.dumps(fact.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)


def digest_of(facts: Facts) -> str:
    """SHA-256 over every fact that holds, whatever order they come in. 64 hex digits."""
    whole = sha256()
    for kind, fact_id in sorted(facts):
        whole.update(json.dumps([kind, fact_id, canonical(facts[kind, fact_id])], ensure_ascii=False).encode())
    return whole.hexdigest()


def change_event(key: FactKey, version: int, fact: Fact | None, now: datetime) -> events.RegisterChange:
    """The event that says what a fact is from `version` on, or that it is gone (None). Same change, same id."""
    kind, fact_id = KIND[key[0]], key[1]
    data = kind.change.model_validate({"version": version, "fact_id": fact_id, "fact": fact})
    name = event_id("register", kind.name, fact_id, version, sha256(canonical(fact).encode()).hexdigest())
    return kind.event.model_validate({"id": name, "source": SOURCE, "subject": fact_id, "time": now, "data": data})


@dataclass(frozen=True, slots=True)
class Signed:
    """Who stands behind a version, by role or user ids; and the proposal that it carries, if one."""

    author: str | None = None
    approver: str | None = None
    reason: str | None = None
    proposal: str | None = None


UNSIGNED = Signed()


def marker_event(
    version: int, changes: int, digest: str, now: datetime, signed: Signed = UNSIGNED
) -> events.RegisterPublished:
    """The event after which a version counts."""
    data = events.RegisterVersion(version=version, changes=changes, digest=digest, **asdict(signed))
    said = [] if signed == UNSIGNED else [value or "" for value in asdict(signed).values()]
    name = event_id("register", "published", version, digest, *said)
    return events.RegisterPublished(id=name, source=SOURCE, subject="register", time=now, data=data)
