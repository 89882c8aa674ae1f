"""When a role is told: by the clock in Helsinki, through nights, weekends and changes of the clock."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.cost_alerts.delivery.quiet import due_at
from services.cost_alerts.delivery.recipients import QuietHours
from services.cost_alerts.domain.alerts.letter import Letter
from services.shared.periods import HELSINKI
from tests.unit.cost_alerts.alerts import condition_letter, crossing, letter, recipient

NIGHT = {"from": "18:00", "to": "07:00"}
LUNCH = {"from": "11:00", "to": "12:30"}
WEEKEND = NIGHT | {"weekends": True}


CLOCK = st.times().map("{:%H:%M}".format)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=HELSINKI).astimezone(UTC)


@pytest.mark.parametrize(
    ("decided", "rest", "due"),
    [
        pytest.param("2026-11-20 12:00", {}, "2026-11-20 12:00", id="a role that never rests is told at once"),
        pytest.param("2026-11-20 17:59", {"quiet_hours": NIGHT}, "2026-11-20 17:59", id="before the rest"),
        pytest.param("2026-11-20 18:00", {"quiet_hours": NIGHT}, "2026-11-21 07:00", id="as the rest begins"),
        pytest.param("2026-11-20 03:00", {"quiet_hours": NIGHT}, "2026-11-20 07:00", id="after midnight"),
        pytest.param("2026-11-20 07:00", {"quiet_hours": NIGHT}, "2026-11-20 07:00", id="as the rest ends"),
        pytest.param("2026-11-20 11:59", {"quiet_hours": LUNCH}, "2026-11-20 12:30", id="a rest within the day"),
        pytest.param("2026-11-20 19:00", {"quiet_hours": WEEKEND}, "2026-11-23 07:00", id="over the weekend"),
        pytest.param("2026-11-22 12:00", {"quiet_hours": WEEKEND}, "2026-11-23 07:00", id="on a Sunday"),
        pytest.param("2026-11-20 12:00", {"digest": "08:00"}, "2026-11-21 08:00", id="the next digest"),
        pytest.param("2026-11-20 07:59", {"digest": "08:00"}, "2026-11-20 08:00", id="the digest of the same day"),
        pytest.param("2026-11-20 08:00", {"digest": "08:00"}, "2026-11-21 08:00", id="just missed"),
        pytest.param(
            "2026-11-20 12:00", {"digest": "08:00", "quiet_hours": WEEKEND}, "2026-11-23 08:00",
            id="no digest on a weekend's rest",
        ),
        pytest.param("2026-03-28 23:00", {"quiet_hours": NIGHT}, "2026-03-29 07:00", id="the night that lacks an hour"),
        pytest.param("2026-10-24 23:00", {"digest": "03:30"}, "2026-10-25 03:30", id="an hour that comes twice"),
    ],
)  # fmt: skip
def test_a_warning_waits(decided: str, rest: dict[str, Any], due: str) -> None:
    assert due_at(letter(decided_at=at(decided)), recipient(**rest)) == at(due)


def test_the_second_of_two_equal_hours_has_a_rest_too() -> None:
    decided = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)  # the clock shows 3:10 for the second time
    rest = recipient(quiet_hours={"from": "03:00", "to": "03:30"})
    assert due_at(letter(decided_at=decided), rest) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("found", "waits"),
    [
        pytest.param(letter(crossing("1.0")), False, id="all of a budget is used"),
        pytest.param(condition_letter("no_data"), False, id="a critical condition"),
        pytest.param(condition_letter("no_data", resolved=True), True, id="its all-clear"),
        pytest.param(letter(crossing("1.0", measure="forecast")), True, id="a forecast of more than all"),
        pytest.param(letter(crossing("0.8"), also=(crossing("1.0"),)), False, id="all of a budget above is used"),
    ],
)
def test_what_is_critical_passes(found: Letter, waits: bool) -> None:
    asleep = recipient(quiet_hours={"from": "00:00", "to": "23:59"}, digest="23:59")
    assert (due_at(found, asleep) > found.decided_at) is waits


@given(
    minutes=st.integers(0, 2 * 365 * 24 * 60),
    begin=CLOCK,
    to=CLOCK,
    weekends=st.booleans(),
)
def test_nobody_is_disturbed_and_nobody_waits_longer_than_a_weekend(
    minutes: int, begin: str, to: str, weekends: bool
) -> None:
    assume(begin != to)
    hours = QuietHours.model_validate({"from": begin, "to": to, "weekends": weekends})
    told = letter(decided_at=at("2026-01-01 00:00") + timedelta(minutes=minutes))
    due = due_at(told, recipient(quiet_hours=hours))
    assert told.decided_at <= due < told.decided_at + timedelta(days=4)
    wall = due.astimezone(HELSINKI)
    if wall.utcoffset() == (wall - timedelta(hours=3)).utcoffset() == (wall + timedelta(hours=3)).utcoffset():
        assert not hours.hold_at(wall.time())
        assert not (weekends and wall.weekday() >= 5)
