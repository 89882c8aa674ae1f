"""Findings about uses, systems and incidents: opened once, closed when answered, and never lost to a newer policy."""

from datetime import UTC, date, datetime, timedelta

import pytest

from services.audit_log.domain.ai_register.findings import (
    Closing,
    Known,
    Wanted,
    answer_late,
    answer_missing,
    answer_uncovered,
    of_clock,
    to_close,
    to_open,
)
from services.audit_log.domain.ai_register.incidents import IncidentFile, unanswered
from services.audit_log.domain.ai_register.sightings import Seen, Sighting
from services.shared.events.outcomes import Finding, FindingOpened, Incident, Notification
from services.shared.events.register import UseCase
from tests.unit.audit_log.events import MONDAY, POLICY, at, use_case

TODAY = date(2026, 11, 16)
MISSING = Wanted("record_missing", "benefits", "benefits", None, "kymp", "fria annex-iii", severe=False)
OVERDUE = MISSING._replace(severe=True)
SHADOW = Wanted("uncovered_use", "shadow", None, "shadow", "unallocated", "system shadow", severe=False)


def open_one(wanted: Wanted, *known: Known) -> list[FindingOpened]:
    return to_open([wanted], known, POLICY, MONDAY)


def known(wanted: Wanted, reason: str | None = None, *before: Known) -> Known:
    (event,) = open_one(wanted, *before)
    return Known(event.data, reason)


def test_a_finding_says_what_it_is_about_and_by_which_policy() -> None:
    due = at(100)
    (event,) = open_one(OVERDUE._replace(due_at=due))
    assert event.subject == "benefits"
    assert event.data == Finding(
        finding_id=event.id, kind="record_missing", output_id=None, use_case="benefits", system=None, unit="kymp",
        policy="review", policy_version=3, due_at=due, detected_at=MONDAY, severity="severe", about="fria annex-iii",
    )  # fmt: skip
    (event,) = to_open([SHADOW], [], None, MONDAY)
    assert (event.data.system, event.data.policy, event.data.severity) == ("shadow", None, "warning")


@pytest.mark.parametrize(
    ("wanted", "before", "opens"),
    [
        (MISSING, (MISSING, None), False),
        (MISSING, (MISSING, "settled"), False),  # somebody looked at it: it is not told again
        (MISSING, (MISSING, "recorded"), True),  # it was there and is gone again
        (MISSING, (OVERDUE, None), False),  # the graver one stands
        (OVERDUE, (MISSING, None), True),
        (OVERDUE, (MISSING, "settled"), True),
        (MISSING._replace(about="dpia annex-iii"), (MISSING, None), True),
        (MISSING._replace(use_case="chat", subject="chat"), (MISSING, None), True),
        (SHADOW._replace(once=True), (SHADOW, "recorded"), False),
    ],
)
def test_when_a_finding_is_opened(wanted: Wanted, before: tuple[Wanted, str | None], opens: bool) -> None:
    (first,) = to_open([before[0]], [], POLICY, MONDAY)
    told = to_open([wanted], [Known(first.data, before[1])], POLICY, at(1))
    assert len(told) == opens
    assert all(event.id != first.id for event in told)


def test_the_same_decision_has_the_same_id_however_often_it_is_taken() -> None:
    assert open_one(MISSING)[0].id == to_open([MISSING], [], None, at(5))[0].id
    again = known(MISSING, "recorded")
    assert open_one(MISSING, again)[0].id == open_one(MISSING, again)[0].id != again.finding.finding_id


def test_closings_name_their_reason_and_a_graver_finding_takes_over() -> None:
    warning, severe = known(MISSING), known(OVERDUE)
    (closed,) = to_close([warning, severe], {}, at(1))
    assert (closed.data.finding_id, closed.data.reason) == (warning.finding.finding_id, "resolved")
    answers = {one.finding.finding_id: Closing("recorded") for one in (warning, severe)}
    found = to_close([warning, severe, Known(severe.finding, "settled")], answers, at(1))
    assert [one.data.reason for one in found] == ["recorded", "recorded"]
    assert [one.subject for one in found] == ["benefits", "benefits"]
    assert to_close([severe], {}, at(1)) == []


def case(**members: object) -> UseCase:
    return UseCase.model_validate({**use_case().model_dump(), **members})


@pytest.mark.parametrize(
    ("severe", "wanted", "use_cases", "reason"),
    [
        (False, {"fria annex-iii"}, [case()], None),
        (True, {"fria annex-iii"}, [case()], None),
        (True, set(), [case(fria="KYMP-1")], "recorded"),
        (True, set(), [case()], None),  # a newer policy does not make it vanish
        (False, set(), [case()], "resolved"),
        (True, set(), [], "resolved"),
        (True, {"fria annex-iii"}, [case(valid_to="2026-11-16")], "resolved"),
        (True, {"fria annex-iii"}, [case(environment="test")], "resolved"),
        (True, {"fria annex-iii"}, [case(fria="KYMP-1", valid_to="2026-06-01"), case(valid_from="2026-06-01")], None),
    ],
)
def test_when_a_missing_record_is_missed_no_more(
    severe: bool, wanted: set[str], use_cases: list[UseCase], reason: str | None
) -> None:
    finding = known(OVERDUE if severe else MISSING).finding
    answer = answer_missing(finding, frozenset(wanted), use_cases, TODAY)
    assert (answer and answer.reason) == reason


def test_a_record_that_this_version_does_not_know_is_left_to_a_person() -> None:
    finding = known(OVERDUE._replace(about="stamp annex-iii")).finding
    assert answer_missing(finding, frozenset(), [case()], TODAY) is None


def sighting(value: str, system: str = "shadow") -> Sighting:
    when = datetime(2026, 11, 16, tzinfo=UTC)
    return Sighting(Seen(system, "system" if value == system else "model", value), 1, when, when)


def test_an_uncovered_use_is_answered_by_a_use_case_and_not_by_having_seen_nothing() -> None:
    finding, registered = known(SHADOW).finding, [case(systems=["shadow"])]
    assert answer_uncovered(finding, frozenset({"system shadow"}), [sighting("shadow")], [], TODAY) is None
    assert answer_uncovered(finding, frozenset(), [], [], TODAY) is None
    assert answer_uncovered(finding, frozenset(), [sighting("shadow", "shadow-2")], registered, TODAY) is None
    assert answer_uncovered(finding, frozenset(), [sighting("shadow")], [], TODAY) is None
    answer = answer_uncovered(finding, frozenset(), [sighting("shadow")], registered, TODAY)
    assert answer == Closing("recorded")


def test_that_there_were_more_models_is_answered_when_there_are_no_more() -> None:
    finding = known(SHADOW._replace(about="model *")).finding
    assert answer_uncovered(finding, frozenset({"model *"}), [sighting("m-1")], [], TODAY) is None
    assert answer_uncovered(finding, frozenset(), [sighting("m-1")], [], TODAY) == Closing("recorded")


def test_a_clock_that_ran_out_is_told_once_and_closed_when_somebody_was_told() -> None:
    fields = {"incident_id": "i-1", "kind": "death", "unit": "kymp", "aware_at": MONDAY, "what": "w", "opened_by": "x"}
    waiting = IncidentFile(Incident.model_validate(fields))
    late = at(24 * 12)
    wanted = [of_clock(*one) for one in unanswered([waiting], late)]
    assert [one.about for one in wanted] == ["i-1 provider", "i-1 authority"]
    opened = to_open(wanted, [], POLICY, late)
    told = Notification(incident_id="i-1", whom="provider", notified_at=late, told_by="security")
    answered = waiting._replace(notified=(told,))
    provider, authority = (Known(event.data, None) for event in opened)
    assert answer_late(provider.finding, [waiting], late) is None
    assert answer_late(provider.finding, [answered], late) == Closing("recorded")
    assert answer_late(authority.finding, [answered], late) is None
    again = [of_clock(*one) for one in unanswered([answered], late + timedelta(days=1))]
    assert to_open(again, [provider._replace(reason="recorded"), authority], POLICY, late) == []
