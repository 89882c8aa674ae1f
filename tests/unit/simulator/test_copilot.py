"""What reports tell of Copilot and the chat: windows end to end, fewer chats after a licence, nothing that is paid."""

from collections import defaultdict
from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest

from services.simulator.apps import Apps
from services.simulator.claude import RUNAWAY, RUNAWAY_TIMES, ClaudeUse
from services.simulator.copilot import CHAT, COPILOT, WINDOW, CopilotUse
from services.simulator.outputs import Sent
from services.simulator.rhythm import DAY, OFFICE, PUBLIC, days, strength
from services.simulator.stories import Stories
from tests.unit.simulator.asking import NOW, TODAY, example, stories


def told(history: Stories) -> list[Sent]:
    use = CopilotUse(example(), history)
    return [event for day in days(history.first_day, history.today) for event in use.of_day(day)]


@pytest.fixture(scope="module")
def reports() -> list[Sent]:
    return told(stories())


def test_windows_lie_end_to_end_and_in_the_past(reports: list[Sent]) -> None:
    spans = sorted({(one["data"]["charge_period_start"], one["data"]["charge_period_end"]) for one in reports})
    starts = [datetime.fromisoformat(start).date() for start, _ in spans]
    assert len(starts) == 4
    assert all(later - earlier == WINDOW for earlier, later in pairwise(starts))
    assert starts[-1] + WINDOW <= TODAY


def test_nothing_of_it_is_paid_and_a_few_people_use_both(reports: list[Sent]) -> None:
    assert {one["data"]["purpose"] for one in reports} == {"telemetry"}
    users = defaultdict(set)
    for one in reports:
        users[one["data"]["system"]].add(one["data"]["consumer"]["person"])
    assert users[COPILOT] - users[CHAT]
    assert users[CHAT] - users[COPILOT]
    assert users[CHAT] & users[COPILOT]
    assert len({one["id"] for one in reports}) == len(reports)


def test_who_gets_a_licence_chats_less(reports: list[Sent]) -> None:
    history = stories()
    library = set(example().members("kirjasto", TODAY))
    prompts: dict[tuple[str, bool], int] = defaultdict(int)
    for one in reports:
        data = one["data"]
        if data["consumer"]["person"] in library:
            start = datetime.fromisoformat(data["charge_period_start"]).date()
            prompts[data["system"], start >= history.library_seats_from] += int(data["consumed"]["requests"])
    assert prompts[COPILOT, True] > 0
    assert prompts[CHAT, False] > prompts[CHAT, True] * 2


def test_a_short_past_has_no_report() -> None:
    assert told(stories(days=20)) == []


def test_readings_name_nobody(reports: list[Sent]) -> None:
    assert not [one for one in reports if "person" in one["data"]["reading_id"]]


@pytest.mark.parametrize(
    ("day", "office", "public"),
    [
        pytest.param(date(2026, 12, 6), 0.03, 0.75, id="Independence Day, a Sunday"),
        pytest.param(date(2026, 12, 25), 0.03, 0.75, id="Christmas Day, a Friday"),
        pytest.param(date(2026, 11, 23), 1.0, 1.1, id="a Monday"),
        pytest.param(date(2026, 7, 6), 0.6, 1.1, id="a Monday in July"),
    ],
)
def test_holidays_are_sundays_and_offices_rest_in_july(day: date, office: float, public: float) -> None:
    assert (strength(day, OFFICE), strength(day, PUBLIC)) == pytest.approx((office, public))


def test_one_program_runs_in_a_circle_since_three_days() -> None:
    use, workspace = ClaudeUse(example(), stories()), example().workspace(RUNAWAY).id
    read = {
        ago: sum(one.input_tokens for one in use.on(TODAY - ago * DAY, NOW) if one.workspace_id == workspace)
        for ago in (1, 2, 3, 4, 9, 10)
    }
    assert all(read[ago] > read[10] * RUNAWAY_TIMES / 2 for ago in (1, 2, 3))
    assert read[4] < read[10] * 2


def test_what_a_vendor_no_longer_tells_comes_from_kept_files() -> None:
    history = Stories(1, 730, TODAY)
    apps = Apps(example(), history)
    of_last_day = [one for one in apps.of_day(date(2025, 12, 31)) if one["source"] == "city/claude-console"]
    assert {one["data"]["system"] for one in of_last_day} == {"claude-api"}
    assert not [one for one in apps.of_day(date(2026, 1, 1)) if one["source"] == "city/claude-console"]
    assert timedelta(0) < TODAY - history.first_day
