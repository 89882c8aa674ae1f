"""A life in words: every kind of entry about an output, in three languages, and its moments on a line."""

import re
from datetime import timedelta
from itertools import pairwise

import pytest

from services.audit_log.adapters.reviews.timeline import Step
from services.audit_log.domain.reviews.case import Case, KnownReview, KnownUse
from services.audit_log.web.life import KINDS, marks, told
from services.shared.events import types_of
from services.shared.web.words import LANGUAGES, Words
from tests.unit.audit_log.events import MONDAY, at, generated, reviewed, used

DATA: dict[str, dict[str, object]] = {
    "ai.output.generated": {"system": "now-assist", "model": "m-1"},
    "ai.output.used": {"kind": "sent", "used_at": "2026-11-16T09:00:00Z"},
    "ai.output.superseded": {"superseded_by": "o-2"},
    "ai.output.deleted": {"reason": "erasure", "deleted_at": "2026-11-16T09:00:00Z"},
    "ai.output.voided": {"reason": "a test", "approver": "record 3"},
    "ai.review.requested": {"because": "class", "due_at": "2026-11-17T08:00:00Z"},
    "ai.review.opened": {"reviewer": "p-1"},
    "ai.review.decided": {"decision": "rejected", "reason_code": "wrong_law", "reviewer": "p-1"},
    "ai.review.declined": {"reason_code": "their own code", "reviewer": "p-1"},
    "ai.review.escalated": {"role": "head", "due_at": "2026-11-17T08:00:00Z"},
    "ai.sample.drawn": {"period": "2026-Q4"},
    "finding.opened": {"kind": "overdue_review"},
    "finding.closed": {"reason": "settled", "note": "looked at the file"},
}


def step(name: str, data: object) -> Step:
    return Step(7, MONDAY, {"type": f"valvomo.{name}.v1", "data": data})


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", DATA)
def test_every_kind_has_words(name: str, language: str) -> None:
    found = told(step(name, DATA[name]), Words(language))  # type: ignore[arg-type]
    assert (found.index, found.kind) == (7, name.replace(".", "_"))
    assert found.what
    assert found.details
    assert all(found.details)


def test_the_kinds_are_those_that_are_shown_here() -> None:
    assert {name.replace(".", "_") for name in DATA} == set(KINDS)
    about = {re.sub(r"^valvomo\.|\.v1$", "", name).replace(".", "_") for name in types_of("valvomo.governance")}
    apart = {"ai_case_merged", "person_pseudonyms_joined", "ai_sample_committed", "ai_sample_revealed"}
    assert {name for name in about if name.startswith("ai_")} - apart <= set(KINDS)


def test_a_decision_in_words() -> None:
    found = told(step("ai.review.decided", DATA["ai.review.decided"]), Words("en"))
    assert (found.what, found.details) == ("It was reviewed", ("Rejected", "It applies the rules wrongly", "p-1"))
    declined = told(step("ai.review.declined", DATA["ai.review.declined"]), Words("en"))
    assert declined.details == ("their own code", "p-1"), "another program's reason, as it is"


@pytest.mark.parametrize("data", [None, [], "text"])
def test_an_entry_of_an_unknown_kind_is_told_as_what_it_is_called(data: object) -> None:
    found = told(step("incident.opened", data), Words("en"))
    assert (found.kind, found.details) == ("other", ("valvomo.incident.opened.v1",))
    assert told(step("ai.review.opened", data), Words("en")).details == ()


def case(*moments: float) -> Case:
    uses = tuple(
        KnownUse(use=used("o-1", at(hours), use=f"u-{number}").data, index=number, ingest_time=at(hours))
        for number, hours in enumerate(moments)
    )
    review = KnownReview(review=reviewed("o-1", at(1)).data, index=9, ingest_time=at(1), source="s")
    return Case(output_id="o-1", output=generated().data, reviews=(review,), uses=uses)


def test_moments_stand_in_the_order_of_time_and_none_covers_another() -> None:
    found = marks(case(0.5, 1.0, 1.01, 400.0))
    assert [mark.kind for mark in found] == ["made", "used", "reviewed", "used", "used", "used"]
    places = [mark.at for mark in found]
    assert places[0] == 0.0
    assert places[-1] == pytest.approx(100.0)
    assert min(later - earlier for earlier, later in pairwise(places)) > 3


def test_a_life_of_one_moment_and_of_very_many() -> None:
    assert [mark.at for mark in marks(Case(output_id="o", output=generated().data))] == [0.0]
    assert marks(Case(output_id="o")) == []
    many = marks(case(*(float(hour) for hour in range(60))))
    assert len(many) == 20
    assert many[-1].at <= 100.0 + 1e-9
    assert many[0].moment == MONDAY
    assert many[1].moment - MONDAY <= timedelta(hours=1)
