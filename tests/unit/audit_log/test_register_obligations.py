"""What the register lacks: records by their legal dates, and uses that nobody registered."""

from datetime import UTC, date, datetime, timedelta

import pytest

from services.audit_log.domain.ai_register.obligations import OTHERS, TOLD_AT_MOST, obligations, policy_on, uncovered
from services.audit_log.domain.ai_register.sightings import Aspect, Seen, Sighting
from services.shared.events.register import LegalDate, Policy, UseCase
from tests.unit.audit_log.events import POLICY, use_case

ANNEX_III = LegalDate.model_validate(
    {
        "id": "annex-iii", "on": "2027-12-02", "risk_classes": ["high_decision", "high_support"],
        "requires": ["fria", "eu_database_id"], "article": "26, 27", "annex_iii_only": True, "warn_days": 180,
    }
)  # fmt: skip
IN_USE = LegalDate.model_validate(
    {
        "id": "in-use-before", "on": "2030-08-02", "risk_classes": ["high_decision"], "requires": ["dpia"],
        "article": "111(2)", "in_use_before": "2026-08-02", "warn_days": 365,
    }
)  # fmt: skip


def policy(*dates: LegalDate, version: int = 3, **members: object) -> Policy:
    return POLICY.model_copy(update={"legal_dates": dates, "version": version, **members})


def case(name: str = "benefits", risk_class: str = "high_decision", **members: object) -> UseCase:
    found = use_case(name, risk_class)
    return UseCase.model_validate({**found.model_dump(), "annex_iii": "5(a)", **members})


def changed(members: dict[str, object]) -> UseCase:
    return UseCase.model_validate({**case().model_dump(), **members})


@pytest.mark.parametrize(
    ("today", "state"),
    [
        (date(2027, 6, 4), "coming"),
        (date(2027, 6, 5), "due"),  # 180 days before
        (date(2027, 12, 1), "due"),
        (date(2027, 12, 2), "overdue"),
    ],
)
def test_a_missing_record_is_coming_then_due_then_overdue(today: date, state: str) -> None:
    found = obligations([case()], [policy(ANNEX_III)], today)
    assert [(one.record, one.state, one.due) for one in found] == [
        ("eu_database_id", state, date(2027, 12, 2)),
        ("fria", state, date(2027, 12, 2)),
    ]
    assert {(one.use_case, one.unit, one.legal_date, one.article) for one in found} == {
        ("benefits", "kymp", "annex-iii", "26, 27")
    }


@pytest.mark.parametrize(
    ("members", "missing"),
    [
        ({}, {"fria", "eu_database_id"}),
        ({"fria": "KYMP-2027-1"}, {"eu_database_id"}),
        ({"fria": "KYMP-2027-1", "eu_database_id": "EU-1"}, set()),
        ({"annex_iii": None}, set()),
        ({"risk_class": "limited"}, set()),
        ({"environment": "test"}, set()),
        ({"valid_to": "2027-12-02"}, set()),
        ({"valid_from": "2027-12-03"}, set()),
    ],
)
def test_whom_a_legal_date_asks_for_what(members: dict[str, object], missing: set[str]) -> None:
    found = obligations([changed(members)], [policy(ANNEX_III)], date(2027, 12, 2))
    assert {one.record for one in found} == missing


@pytest.mark.parametrize(
    ("members", "asked"),
    [
        ({"in_use_since": "2026-08-01"}, True),
        ({"in_use_since": "2026-08-02"}, False),
        ({}, False),  # nobody has written since when: the general date holds
        ({"in_use_since": "2026-01-01", "design_changed_on": "2026-03-01"}, True),
        ({"in_use_since": "2026-01-01", "design_changed_on": "2027-03-01"}, False),
    ],
)
def test_a_date_for_uses_from_before_a_day_asks_only_those_unchanged_since(
    members: dict[str, object], asked: bool
) -> None:
    assert bool(obligations([changed(members)], [policy(IN_USE)], date(2030, 8, 2))) == asked


def test_the_newest_policy_in_force_says_which_dates_there_are() -> None:
    later = ANNEX_III.model_copy(update={"on": date(2028, 12, 2)})
    policies = [policy(ANNEX_III), policy(later, version=4, valid_from=date(2027, 11, 1))]
    due = {one.due for one in obligations([case()], policies, date(2027, 10, 31))}
    assert due == {date(2027, 12, 2)}
    assert {one.state for one in obligations([case()], policies, date(2027, 11, 1))} == {"coming"}
    assert obligations([case()], [], date(2027, 12, 2)) == []
    assert policy_on(policies, date(2025, 1, 1)) is None


TODAY = date(2026, 11, 17)


def sighting(aspect: Aspect, value: str, *, system: str = "now-assist", days_ago: int = 0, index: int = 1) -> Sighting:
    when = datetime(2026, 11, 17, tzinfo=UTC) - timedelta(days=days_ago)
    return Sighting(Seen(system, aspect, value), index, when, when)


COVERS = {"models": ["gpt-5*", "o4"], "regions": ["swedencentral"], "agents": [], "features": ["letters"]}


@pytest.mark.parametrize(
    ("seen", "found"),
    [
        (sighting("system", "now-assist"), None),
        (sighting("model", "gpt-5-mini"), None),
        (sighting("model", "gpt-5"), None),
        (sighting("model", "o4"), None),
        (sighting("model", "o4-mini"), "model o4-mini"),
        (sighting("region", "us"), "region us"),
        (sighting("feature", "chat"), "feature chat"),
        (sighting("agent", "whoever"), None),
        (sighting("system", "shadow", system="shadow"), "system shadow"),
        (sighting("model", "gpt-5", system="shadow"), None),
    ],
)
def test_what_no_use_case_covers(seen: Sighting, found: str | None) -> None:
    told = uncovered([seen], [case(covers=COVERS)], TODAY)
    assert [one.seen.about for one in told] == ([found] if found else [])


def test_one_use_case_that_covers_it_is_enough() -> None:
    narrow, wide = case(covers=COVERS), case("chat", "limited")
    assert uncovered([sighting("model", "llama")], [narrow], TODAY)
    assert not uncovered([sighting("model", "llama")], [narrow, wide], TODAY)


@pytest.mark.parametrize(
    ("classes", "severe", "unit"),
    [(["limited"], False, "kymp"), (["limited", "high_decision"], True, "kymp"), ([], False, None)],
)
def test_how_grave_an_uncovered_use_is(classes: list[str], severe: bool, unit: str | None) -> None:
    cases = [case(name, name, covers=COVERS) for name in classes]
    seen = sighting("model", "llama") if cases else sighting("system", "now-assist")
    (found,) = uncovered([seen], cases, TODAY)
    assert (found.severe, found.unit) == (severe, unit)


@pytest.mark.parametrize(
    ("members", "days_ago", "covered"),
    [
        ({"valid_to": "2026-11-10"}, 8, True),  # it was covered on the last day it was used
        ({"valid_to": "2026-11-10"}, 7, False),
        ({"valid_from": "2026-11-17"}, 30, True),  # registered since
        ({"valid_from": "2026-11-18"}, 0, False),
        ({"environment": "test"}, 0, False),
    ],
)
def test_a_use_is_covered_by_the_register_of_its_last_day_or_of_today(
    members: dict[str, object], days_ago: int, covered: bool
) -> None:
    seen = sighting("system", "now-assist", days_ago=days_ago)
    assert (uncovered([seen], [changed(members)], TODAY) == []) == covered


def test_of_very_many_models_only_some_are_told_one_by_one() -> None:
    many = [sighting("model", f"m-{number}", index=number) for number in range(TOLD_AT_MOST + 40)]
    found = [one.seen.value for one in uncovered(many, [case(covers=COVERS)], TODAY)]
    assert sorted(found) == sorted([*(f"m-{number}" for number in range(TOLD_AT_MOST)), OTHERS])
