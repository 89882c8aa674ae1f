"""Made-up events, as short as a test wants to write them."""

from datetime import UTC, date, datetime, timedelta

from services.shared.events import Event, register
from services.shared.events import governance as told
from services.shared.events.envelope import Fact
from services.shared.events.usage import CollectionCompleted, CollectionWindow

MONDAY = datetime(2026, 11, 16, 8, tzinfo=UTC)
"""10:00 in Helsinki, a business day."""

SOURCE = "test/governance"
NAMES = {"fi": "Nimi", "sv": "Namn", "en": "Name"}


def at(hours: float) -> datetime:
    """So many hours after Monday 10:00 Helsinki."""
    return MONDAY + timedelta(hours=hours)


def generated(output: str = "o-1", when: datetime = MONDAY, **members: object) -> told.OutputGenerated:
    fields = {"system": "now-assist", "use_case": "benefits", "unit": "kymp", "requester": "p-requester", **members}
    data = told.Output.model_validate({"output_id": output, "generated_at": when, **fields})
    return told.OutputGenerated(id=f"{output}.generated", source=SOURCE, subject=output, time=when, data=data)


def reviewed(
    output: str = "o-1", when: datetime = MONDAY, review: str = "r-1", **members: object
) -> told.ReviewDecided:
    fields = {"reviewer": "p-reviewer", "decision": "approved", "evidence": "explicit_accept", **members}
    data = told.Review.model_validate({"output_id": output, "review_id": review, "decided_at": when, **fields})
    return told.ReviewDecided(id=f"{output}.{review}", source=SOURCE, subject=output, time=when, data=data)


def used(output: str = "o-1", when: datetime = MONDAY, use: str = "u-1", **members: object) -> told.OutputUsed:
    data = told.Use.model_validate({"output_id": output, "use_id": use, "used_at": when, "kind": "sent", **members})
    return told.OutputUsed(id=f"{output}.{use}", source=SOURCE, subject=output, time=when, data=data)


def superseded(output: str = "o-1", when: datetime = MONDAY, by: str = "o-2") -> told.OutputSuperseded:
    data = told.Superseding(output_id=output, superseded_by=by, superseded_at=when)
    return told.OutputSuperseded(id=f"{output}.superseded", source=SOURCE, subject=output, time=when, data=data)


def deleted(output: str = "o-1", when: datetime = MONDAY, reason: str = "erasure") -> told.OutputDeleted:
    data = told.Deletion.model_validate({"output_id": output, "deleted_at": when, "reason": reason})
    return told.OutputDeleted(id=f"{output}.deleted", source=SOURCE, subject=output, time=when, data=data)


def opened(output: str = "o-1", when: datetime = MONDAY) -> told.ReviewOpened:
    data = told.ReviewStart(review_id="r-1", output_id=output, opened_at=when)
    return told.ReviewOpened(id=f"{output}.opened", source=SOURCE, subject=output, time=when, data=data)


def window(number: int, source: str = "test/usage") -> CollectionCompleted:
    """An event that the log keeps and nothing else needs."""
    data = CollectionWindow(source_name="s", window_start=at(number), window_end=at(number + 1), readings=number)
    return CollectionCompleted(id=f"w-{number}", source=source, subject="s", time=at(number), data=data)


POLICY = register.Policy(
    id="review",
    version=3,
    approved_by="record 12/2026",
    valid_from=date(2026, 1, 1),
    clock_grace_seconds=86_400,
    trusted_sources=("test/*",),
    rules=(
        register.ReviewRule(risk_class="prohibited", gate="never"),
        register.ReviewRule(risk_class="high_decision", gate="before_use", deadline_business_hours=8),
        register.ReviewRule(
            risk_class="limited", gate="after_use", deadline_business_hours=40,
            accepted_evidence=("explicit_accept", "edited", "thumb"),
        ),
        register.ReviewRule(risk_class="minimal", gate="none"),
    ),
)  # fmt: skip


def use_case(name: str = "benefits", risk_class: str = "high_decision") -> register.UseCase:
    fields = {
        "valid_from": date(2026, 1, 1),
        "unit": "kymp",
        "owner": "head",
        "purpose": "p",
        "systems": ("now-assist",),
    }
    return register.UseCase.model_validate({"id": name, "name": NAMES, "risk_class": risk_class, **fields})


USE_CASES = (use_case(), use_case("chat", "limited"), use_case("drafts", "minimal"), use_case("scoring", "prohibited"))


def register_events(
    version: int = 1,
    policies: tuple[register.Policy, ...] = (POLICY,),
    use_cases: tuple[register.UseCase, ...] = USE_CASES,
    mandates: tuple[register.ReviewerMandate, ...] = (),
) -> list[Event]:
    """A register version as the register topic holds it, its marker last."""
    kinds: list[tuple[type[Event], tuple[Fact, ...]]] = [
        (register.PolicyPublished, policies),
        (register.UseCaseRegistered, use_cases),
        (register.ReviewerMandated, mandates),
    ]
    facts = [(kind, f"{kind.__name__}-{number}", fact) for kind, some in kinds for number, fact in enumerate(some)]
    marker = {"version": version, "changes": len(facts), "digest": "0" * 64}
    return [
        *(
            _register_event(kind, version, name, {"version": version, "fact_id": name, "fact": fact})
            for kind, name, fact in facts
        ),
        _register_event(register.RegisterPublished, version, "published", marker),
    ]


def without_fact(version: int, kind: type[Event], name: str) -> Event:
    """The event that takes a fact back."""
    return _register_event(kind, version, name, {"version": version, "fact_id": name, "fact": None})


def _register_event(kind: type[Event], version: int, name: str, data: dict[str, object]) -> Event:
    envelope = {"id": f"{version}.{name}", "source": "test/register", "subject": "register", "time": MONDAY}
    return kind.model_validate({**envelope, "data": data})
