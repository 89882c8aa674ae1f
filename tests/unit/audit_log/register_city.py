"""A small city's AI register in a log: two units, uses of every kind of class, outputs and their reviews."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from services.shared.events import Event, plans, register
from services.shared.events.envelope import Fact
from services.shared.events.outcomes import CostBand, UseCaseCost, UseCaseCosted
from tests.unit.audit_log.events import MONDAY, POLICY, generated, reviewed

KINDS: dict[type[Fact], type[Event]] = {
    register.Unit: register.UnitDefined,
    register.System: register.SystemDefined,
    register.UseCase: register.UseCaseRegistered,
    register.Policy: register.PolicyPublished,
    plans.BenefitResult: register.BenefitReported,
}
JANUARY = date(2026, 1, 1)
TAGS = "<script>alert(1)</script>"


def unit(name: str, parent: str | None = "city") -> register.Unit:
    names: Any = {"fi": f"{name} suomeksi", "sv": f"{name} på svenska", "en": name.title()}
    return register.Unit(id=name, parent=parent, name=names, valid_from=JANUARY)


def use(name: str, where: str, risk_class: str, **members: Any) -> register.UseCase:  # noqa: ANN401  # of the model
    fields = {
        "id": name, "unit": where, "risk_class": risk_class, "valid_from": JANUARY, "owner": "head of unit",
        "name": {"fi": f"{name} fi", "sv": f"{name} sv", "en": f"{name} en"}, "purpose": f"What {name} is for",
        "systems": ("claude",),
    }  # fmt: skip
    return register.UseCase.model_validate({**fields, **members})


LEGAL = register.LegalDate(
    id="annex-iii", on=date(2027, 12, 2), risk_classes=("high_decision",), requires=("fria", "dpia"),
    article="Article 26", warn_days=3_000,
)  # fmt: skip
RULES = (
    *(rule for rule in POLICY.rules if rule.risk_class != "limited"),
    register.ReviewRule(
        risk_class="limited", gate="after_use", deadline_business_hours=40, sample_rate=Decimal("0.05"),
        accepted_evidence=("explicit_accept", "edited", "thumb"),
    ),
)  # fmt: skip
CITY_POLICY = POLICY.model_copy(update={"legal_dates": (LEGAL,), "rules": RULES})
BENEFITS = use(
    "benefits", "kymp", "high_decision", dpia="KYMP 7/2026", annex_iii="5(a)", decision_effect="decision",
    channel="decision", in_use_since=date(2026, 2, 1),
    benefit={"measure": "decisions", "counts": "cases", "baseline": "100", "target": "200", "owner": "head"},
    art5_checked={"on": date(2026, 1, 20), "by": "p-somebody"},
)  # fmt: skip
CITY: tuple[Fact, ...] = (
    unit("city", None),
    unit("kymp"),
    unit("library", "kymp"),
    register.System(id="claude", vendor="anthropic", name="Claude", owner="ict", region="eu"),
    CITY_POLICY,
    use("drafts", "kymp", "minimal"),
    BENEFITS,
    use("scoring", "kymp", "prohibited", public=False),
    use("chat", "library", "limited", purpose=TAGS, suspended_from=datetime(2026, 3, 1, tzinfo=UTC)),
    use("trial", "library", "limited", environment="test"),
    plans.BenefitResult(id="r1", use_case="benefits", month="2026-09", result=Decimal(120), source="count"),
    plans.BenefitResult(id="r2", use_case="benefits", month="2026-10", result=Decimal(150), source="count"),
)


def published(version: int, facts: Iterable[Fact], gone: Iterable[Fact] = ()) -> list[Event]:
    """A register version as the register topic holds it, its marker last."""
    changes = [(fact, fact) for fact in facts] + [(fact, None) for fact in gone]
    events = [_change(version, fact, after) for fact, after in changes]
    marker = register.RegisterVersion(version=version, changes=len(events), digest="0" * 64)
    last = register.RegisterPublished(
        id=f"{version}.published", source="test/register", subject="register", time=MONDAY, data=marker
    )
    return [*events, last]


def _change(version: int, fact: Any, after: Fact | None) -> Event:  # noqa: ANN401  # any kind of fact
    name = f"{fact.id}@{fact.valid_from}" if isinstance(fact, register.UseCase) else str(fact.id)
    kind = KINDS[type(fact)]
    data = {"version": version, "fact_id": name, "fact": after}
    envelope = {"id": f"{version}.{kind.__name__}.{name}", "source": "test/register", "subject": name, "time": MONDAY}
    return kind.model_validate({**envelope, "data": data})


def costed(use_case: str, band: CostBand) -> UseCaseCosted:
    data = UseCaseCost(use_case=use_case, as_of=MONDAY.date(), band=band)
    name = f"{use_case}.{band}"
    return UseCaseCosted(id=name, source="valvomo/cost-alerts", subject=use_case, time=MONDAY, data=data)


def outputs(use_case: str, count: int, reviews: int, days_ago: float = 10) -> list[Event]:
    """So many outputs, the first of them reviewed in time."""
    made = MONDAY - timedelta(days=days_ago)
    events: list[Event] = []
    for number in range(count):
        name = f"{use_case}-{days_ago}-{number}"
        events.append(generated(name, made, use_case=use_case, system="claude", unit=None))
        if number < reviews:
            events.append(reviewed(name, made + timedelta(hours=1), f"r-{name}"))
    return events
