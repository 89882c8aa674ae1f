"""The clocks of Article 73, and who must be told first."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.audit_log.domain.ai_register.incidents import (
    DAYS,
    IncidentFile,
    clock_end,
    clocks,
    next_clock,
    told_out_of_order,
    unanswered,
    why_not_closed,
)
from services.shared.events.outcomes import Incident, IncidentEnd, IncidentKind, Notification
from services.shared.periods import HELSINKI, helsinki_day

AWARE = datetime(2026, 11, 16, 8, tzinfo=UTC)
DUE = datetime(2026, 12, 1, 22, tzinfo=UTC)
"""15 whole days after Monday the 16th in Helsinki: the midnight after 1 December."""


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=HELSINKI).astimezone(UTC)


def told(whom: str, when: datetime) -> Notification:
    fields = {"incident_id": "i-1", "whom": whom, "notified_at": when, "told_by": "security"}
    return Notification.model_validate(fields)


def closed(when: datetime) -> IncidentEnd:
    return IncidentEnd(incident_id="i-1", closed_at=when, outcome="mended", closed_by="security")


def file(*notified: Notification, kind: IncidentKind = "serious", end: IncidentEnd | None = None) -> IncidentFile:
    fields = {"incident_id": "i-1", "kind": kind, "unit": "kymp", "aware_at": AWARE, "what": "w", "opened_by": "ict"}
    return IncidentFile(Incident.model_validate(fields), notified, end)


@pytest.mark.parametrize(
    ("kind", "aware", "ends"),
    [
        ("serious", "2026-11-16T10:00", "2026-12-02T00:00"),
        ("widespread", "2026-11-16T10:00", "2026-11-19T00:00"),
        ("death", "2026-11-16T10:00", "2026-11-27T00:00"),
        ("widespread", "2026-11-16T00:00", "2026-11-19T00:00"),
        ("widespread", "2026-11-16T23:59", "2026-11-19T00:00"),
        ("widespread", "2026-12-24T10:00", "2026-12-27T00:00"),  # holidays and a weekend do not extend it
        ("widespread", "2026-10-24T10:00", "2026-10-27T00:00"),  # a day of 25 hours between
        ("widespread", "2027-03-27T10:00", "2027-03-30T00:00"),  # a day of 23 hours between
        ("serious", "2028-02-20T10:00", "2028-03-07T00:00"),  # a leap day
        ("other", "2026-11-16T10:00", None),
    ],
)
def test_the_end_of_a_clock(kind: IncidentKind, aware: str, ends: str | None) -> None:
    assert clock_end(kind, moment(aware)) == (moment(ends) if ends else None)


@given(st.integers(0, 75 * 365 * 24 * 3600).map(lambda s: AWARE + timedelta(seconds=s)), st.sampled_from(sorted(DAYS)))
def test_a_clock_has_whole_days_after_the_day_of_awareness_and_ends_at_midnight(
    aware: datetime, kind: IncidentKind
) -> None:
    end, days = clock_end(kind, aware), DAYS[kind]
    if days is None:
        assert end is None
        return
    assert end is not None
    last = end - timedelta(microseconds=1)
    assert (helsinki_day(last) - helsinki_day(aware)).days == days
    assert helsinki_day(end) > helsinki_day(last)


JUST_BEFORE, JUST_AFTER = DUE - timedelta(seconds=1), DUE + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("found", "now", "states"),
    [
        (file(), JUST_BEFORE, ["due", "due"]),
        (file(), DUE, ["late", "late"]),
        (file(told("provider", AWARE)), JUST_AFTER, ["done", "late"]),
        (file(told("provider", AWARE), told("authority", JUST_AFTER)), JUST_AFTER, ["done", "done_late"]),
        (file(told("authority", JUST_AFTER), told("authority", JUST_BEFORE)), JUST_AFTER, ["late", "done"]),
        (file(told("persons", AWARE), told("importer", AWARE)), AWARE, ["due", "due"]),
        (file(end=closed(JUST_BEFORE)), JUST_AFTER, ["stopped", "stopped"]),
        (file(end=closed(DUE)), JUST_AFTER, ["late", "late"]),  # closing does not make it told
        (file(told("provider", JUST_AFTER), end=closed(DUE)), JUST_AFTER, ["done_late", "late"]),
        (file(kind="other"), JUST_AFTER, []),
    ],
)
def test_the_states_of_clocks(found: IncidentFile, now: datetime, states: list[str]) -> None:
    assert [clock.state for clock in clocks(found, now)] == states
    assert [clock.whom for clock in clocks(found, now)] == ["provider", "authority"][: len(states)]
    assert len(unanswered([found], now)) == sum(state in {"late", "done_late"} for state in states)


def test_the_provider_is_told_first() -> None:
    waiting = next_clock(file(), AWARE)
    assert waiting is not None
    assert waiting.whom == "provider"
    then = next_clock(file(told("provider", AWARE)), AWARE)
    assert then is not None
    assert then.whom == "authority"
    assert next_clock(file(told("provider", AWARE), told("authority", AWARE)), AWARE) is None
    assert not told_out_of_order(file(told("provider", AWARE), told("authority", AWARE)))
    assert told_out_of_order(file(told("authority", AWARE)))
    assert told_out_of_order(file(told("authority", AWARE), told("provider", DUE)))


@pytest.mark.parametrize(
    ("found", "not_reportable", "refused"),
    [
        (file(), False, "provider, authority"),
        (file(told("provider", AWARE)), False, "among: authority"),
        (file(), True, None),
        (file(told("provider", AWARE), told("authority", AWARE)), False, None),
        (file(kind="other"), False, None),
        (file(kind="other", end=closed(AWARE)), True, "closed before"),
    ],
)
def test_an_incident_is_closed_when_all_were_told(
    found: IncidentFile, not_reportable: bool, refused: str | None
) -> None:
    why = why_not_closed(found, JUST_BEFORE, not_reportable=not_reportable)
    assert (why is None) if refused is None else (why is not None and refused in why)
