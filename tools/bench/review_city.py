"""The events of a city whose outputs are reviewed, or are not: for `reviews.py`. The same seed gives the same city."""

import heapq
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from services.audit_log.adapters.reviews.sampling import Salts
from services.audit_log.domain.reviews.duty import Duty, Rulebook, duty_of
from services.audit_log.domain.reviews.findings import demand_id, finding_id, severity_of
from services.audit_log.domain.reviews.sampling import committed, draw, draws, parse_period, period_for
from services.audit_log.domain.telling import SOURCE as LOG
from services.shared.events import Event, outcomes, register
from services.shared.events import governance as told
from services.shared.events.envelope import Fact

FIRST = datetime(2026, 7, 20, 4, tzinfo=UTC)
"""When the first output is made."""
DAYS = 120
NOW = FIRST + timedelta(days=DAYS + 4)
"""Everything that the city's outputs were due for has passed."""
SALTS = Salts(b"k" * 32)

_SOURCE = "bench/outputs"
_SINCE = date(2026, 1, 1)
_PERIODS = ("2026-Q3", "2026-Q4")
_UNITS = tuple(f"unit-{number:02}" for number in range(12))
_REVIEWERS = tuple(f"p-reviewer-{number:02}" for number in range(24))
_CLASSES = ("minimal", "limited", "high_decision", "high_support")
_SHARES = (40, 25, 25, 10)
_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)
_Told = tuple[datetime, int, Event]


def rules(hours: int = 16) -> Rulebook:
    """The policy, forty use cases and two reviewers of each unit. `hours`: to review what decides about somebody."""
    policy = register.Policy.model_validate({
        "id": "review", "version": 1, "approved_by": "bench", "valid_from": _SINCE, "trusted_sources": ("bench/*",),
        "rules": (
            {
                "risk_class": "high_decision", "gate": "before_use", "deadline_business_hours": hours,
                "second_rate": "0.1", "training_required": True, "max_bulk": 0, "min_dwell_seconds": 5,
                "one_click": False, "escalation": ({"share": "1", "role": "internal-audit"},),
            },
            {
                "risk_class": "high_support", "gate": "before_use", "deadline_business_hours": 24,
                "second_rate": "0.05", "training_required": True, "max_bulk": 10, "one_click": False,
            },
            {
                "risk_class": "limited", "gate": "after_use", "deadline_business_hours": 40, "sample_rate": "0.05",
                "accepted_evidence": ("explicit_accept", "edited", "thumb"), "max_bulk": 50,
            },
            {"risk_class": "minimal", "gate": "none"},
        ),
    })  # fmt: skip
    use_cases = tuple(
        register.UseCase.model_validate({
            "id": f"{risk_class}-{number}", "name": {"en": f"Use {number}"}, "unit": _UNITS[number], "owner": "o",
            "purpose": "p", "systems": (f"system-{number % 5}",), "risk_class": risk_class, "valid_from": _SINCE,
        })
        for risk_class in _CLASSES
        for number in range(10)
    )  # fmt: skip
    mandates = tuple(
        register.ReviewerMandate(reviewer=one, unit=_UNITS[number // 2], valid_from=_SINCE, trained_on=_SINCE)
        for number, one in enumerate(_REVIEWERS)
    )
    return Rulebook((policy,), use_cases, mandates)


def register_events(known: Rulebook) -> list[Event]:
    """The register as its topic holds it, its marker last."""
    facts: list[tuple[type[Event], str, Fact]] = [
        *((register.PolicyPublished, one.id, one) for one in known.policies),
        *((register.UseCaseRegistered, one.id, one) for one in known.use_cases),
        *((register.ReviewerMandated, one.reviewer, one) for one in known.mandates),
    ]
    changes = [_of_register(kind, name, {"version": 1, "fact_id": name, "fact": fact}) for kind, name, fact in facts]
    marker = {"version": 1, "changes": len(facts), "digest": "0" * 64}
    return [*changes, _of_register(register.RegisterPublished, "published", marker)]


def _of_register(kind: type[Event], name: str, data: dict[str, object]) -> Event:
    envelope = {"id": f"1.{name}", "source": "bench/register", "subject": "register", "time": FIRST}
    return kind.model_validate({**envelope, "data": data})


def events(outputs: int) -> Iterator[Event]:
    """The register, then all that is told of so many outputs, in the order of time."""
    known, chance = rules(), random.Random(7)  # noqa: S311  # the same city each time
    yield from register_events(known)
    yield from (committed(parse_period(name), SALTS.of(name), FIRST) for name in _PERIODS)
    coming: list[_Told] = []
    step, order = _DAY * DAYS / outputs, 0
    for number in range(outputs):
        made = FIRST + step * number
        while coming and coming[0][0] <= made:
            yield heapq.heappop(coming)[-1]
        for when, event in of_output(f"out-{number:07}-{chance.randrange(16**8):08x}", made, known, chance):
            order += 1
            heapq.heappush(coming, (when, order, event))
    while coming:
        yield heapq.heappop(coming)[-1]


def of_output(name: str, made: datetime, known: Rulebook, chance: random.Random) -> Iterator[tuple[datetime, Event]]:
    """All that is told of one output, by its sources and by the log, each with when."""
    output = _output(name, made.replace(microsecond=0), known, chance)
    duty = duty_of(output, known, made)
    assert duty is not None
    yield made, _event(told.OutputGenerated, f"{name}.made", output, made)
    for number, demand in enumerate(_demands(output, duty)):
        when = made + _MINUTE + timedelta(seconds=number)
        yield when, told.ReviewRequested(id=demand_id(demand), source=LOG, subject=name, time=when, data=demand)
    if chance.random() < 0.5:  # noqa: PLR2004  # half of all outputs are used
        when = made + _MINUTE * (5 if duty.gate != "before_use" else 240)
        use = told.Use(
            output_id=name, use_id=f"{name}.use", content_hash_used=output.content_hash, used_at=when, kind="sent"
        )
        if duty.gate != "before_use" or _is_reviewed(name):
            yield when, _event(told.OutputUsed, use.use_id, use, when)
    if duty.gate == "before_use":
        yield from _review(output, duty, made) if _is_reviewed(name) else _overdue(output, duty)


def due_at(name: str, when: datetime, before: timedelta) -> Event:
    """An output that decides about somebody and was made so long before that moment."""
    output = told.Output(
        output_id=name, system="system-0", use_case="high_decision-0", generated_at=when - before, requester="p-0001"
    )
    return _event(told.OutputGenerated, f"{name}.made", output, when - before)


def _is_reviewed(name: str) -> bool:
    """Nine of ten outputs that decide about somebody."""
    return name[-1] != "0" or name[-2] in "01234"


def _output(name: str, made: datetime, known: Rulebook, chance: random.Random) -> told.Output:
    risk_class = chance.choices(_CLASSES, _SHARES)[0]
    use_case = known.use_cases[_CLASSES.index(risk_class) * 10 + chance.randrange(10)]
    return told.Output(
        output_id=name, system=use_case.systems[0], use_case=use_case.id, unit=use_case.unit, model="model-4",
        generated_at=made, content_hash=f"{chance.getrandbits(256):064x}", length=chance.randrange(200, 3_000),
        requester=f"p-{chance.randrange(500):04}", conversation_id=f"c-{chance.randrange(16**8):08x}",
    )  # fmt: skip


def _demands(output: told.Output, duty: Duty) -> Iterator[told.ReviewDemand]:
    if duty.gate == "before_use":
        yield told.ReviewDemand(
            output_id=output.output_id, policy=duty.policy, policy_version=duty.policy_version,
            risk_class=duty.risk_class, gate=duty.gate, unit=duty.unit, due_at=duty.due_at, because="class",
        )  # fmt: skip
    if draws(duty.rule):
        yield from draw(output, duty, SALTS.of(period_for(output, duty).name))


def _review(output: told.Output, duty: Duty, made: datetime) -> Iterator[tuple[datetime, Event]]:
    """Opened and decided by both reviewers of the unit: the second where one was drawn."""
    name, number = output.output_id, _UNITS.index(duty.unit) * 2
    opened, decided = made + _MINUTE * 100, made + _MINUTE * 108
    start = told.ReviewStart(output_id=name, review_id=f"{name}.r", reviewer=_REVIEWERS[number], opened_at=opened)
    yield opened, _event(told.ReviewOpened, f"{name}.r.opened", start, opened)
    review = told.Review(
        output_id=name, review_id=f"{name}.r", content_hash_reviewed=output.content_hash,
        reviewer=_REVIEWERS[number], decided_at=decided, decision="approved", evidence="explicit_accept",
        reason_code="compared_with_sources", evidence_shown=("text", "sources"), made_in="app",
    )  # fmt: skip
    yield decided, _event(told.ReviewDecided, f"{name}.r.decided", review, decided)


def _overdue(output: told.Output, duty: Duty) -> Iterator[tuple[datetime, Event]]:
    assert duty.due_at is not None
    name, when = output.output_id, duty.due_at + _MINUTE
    finding = outcomes.Finding(
        finding_id=finding_id(name, "overdue_review", duty), kind="overdue_review", output_id=name,
        use_case=duty.use_case, system=output.system, unit=duty.unit, policy=duty.policy,
        policy_version=duty.policy_version, due_at=duty.due_at, detected_at=when,
        severity=severity_of("overdue_review", duty.risk_class),
    )  # fmt: skip
    yield when, outcomes.FindingOpened(id=finding.finding_id, source=LOG, subject=name, time=when, data=finding)


def _event(kind: type[Event], name: str, data: told.OutputFact, when: datetime) -> Event:
    return kind(id=name, source=_SOURCE, subject=data.output_id, time=when, data=data)  # type: ignore[call-arg]  # each kind has its own default type
