"""What the city's applications push, by the real intake; and that the stories are in it."""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest

from services.shared.access import ANYBODY
from services.shared.periods import day_start, helsinki_day
from services.simulator.apps import CHATBOT_SOURCE, GATEWAY_SOURCE, RESTATED_SHARE, Apps
from services.simulator.assists import AssistUse
from services.simulator.live import Live
from services.simulator.matters import SELF_REVIEWED, UNTRAINED
from services.simulator.outputs import OUTPUT_GENERATED, Sent
from services.simulator.rhythm import DAY
from services.simulator.stories import Stories
from tests.unit.simulator.asking import NOW, TODAY, example, stories
from tests.unit.usage_collector.door import Door

HIGH_RISK = "tyollisyys-palvelutarve"


def sent(told: Stories) -> list[Sent]:
    return Apps(example(), told).events()


def lives(events: Sequence[Sent]) -> dict[str, list[Sent]]:
    """Output → what is told about it, by time."""
    found: dict[str, list[Sent]] = defaultdict(list)
    for event in events:
        if "output_id" in event["data"]:
            found[event["data"]["output_id"]].append(event)
    return found


def kinds(life: Sequence[Sent]) -> list[str]:
    return [event["type"].removeprefix("valvomo.ai.").removesuffix(".v1") for event in life]


def of_use_case(events: Sequence[Sent], use_case: str) -> dict[str, list[Sent]]:
    return {name: life for name, life in lives(events).items() if life[0]["data"].get("use_case") == use_case}


@pytest.fixture(scope="module")
def past() -> list[Sent]:
    return sent(stories())


def test_the_real_intake_takes_everything(past: list[Sent]) -> None:
    outcome = Door().intake.accept(past, ANYBODY)
    assert outcome.refused == []
    assert outcome.accepted == len(past)
    assert 10_000 < len(past) < 14_000


def test_every_event_has_a_name_of_its_own(past: list[Sent]) -> None:
    assert len({(event["source"], event["id"]) for event in past}) == len(past)


def test_events_come_by_time_and_only_a_few_after_today_begins(past: list[Sent]) -> None:
    begun = {event["subject"]: str(event["time"]) for event in past if event["type"] == OUTPUT_GENERATED}
    begins_at = [begun.get(event["subject"], str(event["time"])) for event in past]
    assert begins_at == sorted(begins_at)
    begins = day_start(stories().first_day)
    assert all(datetime.fromisoformat(event["time"]) >= begins for event in past)
    late = [event for event in past if datetime.fromisoformat(event["time"]) > day_start(TODAY)]
    assert len(late) < 30


def test_every_life_begins_with_its_output(past: list[Sent]) -> None:
    assert all(kinds(life)[0] == "output.generated" for life in lives(past).values())


def test_high_risk_outputs_are_used_without_a_review(past: list[Sent]) -> None:
    found = [kinds(life) for life in of_use_case(past, HIGH_RISK).values()]
    assert ["output.generated", "output.used"] in found
    assert ["output.generated", "output.used", "review.opened", "review.decided"] in found
    reviewed = sum(life[:3] == ["output.generated", "review.opened", "review.decided"] for life in found)
    assert reviewed > 0.8 * len(found)


def test_reviewers_have_a_mandate_and_never_judge_their_own(past: list[Sent]) -> None:
    wrong = {SELF_REVIEWED, UNTRAINED}  # these are stories; see test_matters.py
    for name, life in lives(past).items():
        made = life[0]["data"]
        if name in wrong:
            continue
        for event in life:
            if reviewer := event["data"].get("reviewer"):
                assert reviewer in example().reviewers[made["use_case"]]
                assert reviewer != made["requester"]


def test_what_the_bot_says_is_used_at_once_and_once(past: list[Sent]) -> None:
    for life in of_use_case(past, "neuvontabotti").values():
        assert kinds(life)[1] == "output.used"
        assert kinds(life).count("output.used") == 1


def test_some_outputs_are_forgotten_and_some_reviewed_too_late(past: list[Sent]) -> None:
    found = of_use_case(past, HIGH_RISK)
    assert any(len(life) == 1 for life in found.values())
    waits = [
        datetime.fromisoformat(life[-1]["time"]) - datetime.fromisoformat(life[0]["time"]) for life in found.values()
    ]
    assert any(wait >= timedelta(days=7) for wait in waits)


@pytest.mark.parametrize("seed", range(4))
def test_no_young_output_is_left_to_become_overdue_today(seed: int) -> None:
    told = stories(days=40, seed=seed)
    for life in lives(sent(told)).values():
        made = helsinki_day(datetime.fromisoformat(life[0]["time"]))
        if TODAY - timedelta(days=13) < made != told.last_business_day:
            assert len([kind for kind in kinds(life) if kind != "output.generated"]) > 0, life[0]["id"]


def test_on_the_last_business_day_some_outputs_wait(past: list[Sent]) -> None:
    waiting = [
        life
        for life in of_use_case(past, HIGH_RISK).values()
        if len(life) == 1 and helsinki_day(datetime.fromisoformat(life[0]["time"])) == stories().last_business_day
    ]
    assert waiting


def test_one_day_of_the_chatbot_is_sent_twice(past: list[Sent]) -> None:
    revised = [event["data"] for event in past if event["data"].get("revision")]
    first = {
        event["data"]["reading_id"]: event["data"]
        for event in past
        if event["source"] == CHATBOT_SOURCE and event["data"].get("revision", 0) == 0 and "reading_id" in event["data"]
    }
    assert {helsinki_day(datetime.fromisoformat(one["charge_period_start"])) for one in revised} == {
        stories().restated_file_day
    }
    for one in revised:
        was = int(first[one["reading_id"]]["consumed"]["conversations"])
        assert int(one["consumed"]["conversations"]) == round(was * RESTATED_SHARE)
    assert len(revised) >= 20


def test_conversations_fill_a_longer_day() -> None:
    apps = Apps(example(), stories())
    starts = [event["data"]["charge_period_start"] for event in apps.conversations(date(2026, 10, 25))]
    assert len(starts) == len(set(starts)) <= 25


def test_requests_of_the_gateway_tell_by_tag_for_whom(past: list[Sent]) -> None:
    tags = Counter(event["data"]["consumer"]["tags"]["org_unit"] for event in past if event["source"] == GATEWAY_SOURCE)
    assert set(tags) == {"KONSERNI-VIE", "KYMP-KAS", "KASKO-PO"}


def test_nobody_real_is_named(past: list[Sent]) -> None:
    people = set(example().people)
    text = json.dumps(past)
    assert text.count("@") == sum(text.count(f'"{person}"') for person in people)


def test_any_day_can_be_made_alone() -> None:
    whole = {event["id"]: event for event in sent(stories()) if not event["data"].get("revision")}
    alone: dict[str, Sent] = {}
    for number in reversed(range(120)):
        alone |= {event["id"]: event for event in Apps(example(), stories()).of_day(stories().first_day + number * DAY)}
    assert alone == whole


class Present:
    """A live city, some hours after its history was sent."""

    def __init__(self, seed: int = 1, later: Sequence[Sent] = ()) -> None:
        told = stories(seed=seed)
        self.assists = AssistUse(example(), told)
        self.live = Live(Apps(example(), told), self.assists, told, later)

    def run(self, steps: int, start: datetime = NOW, pause: timedelta = timedelta(seconds=5)) -> list[Sent]:
        found: list[Sent] = []
        for number in range(steps):
            now = start + number * pause
            events = self.live.step(now)
            assert all(datetime.fromisoformat(event["time"]) <= now for event in events)
            found += events
        return found


def test_live_traffic_is_new_and_the_intake_takes_it(past: list[Sent]) -> None:
    door, events = Door(), Present().run(400)
    door.clock.set(NOW + timedelta(hours=1))
    assert door.intake.accept(events, ANYBODY).refused == []
    names = [(event["source"], event["id"]) for event in events]
    assert len(names) == len(set(names)) > 300
    assert not set(names) & {(event["source"], event["id"]) for event in past}


def test_a_review_can_be_watched() -> None:
    found = [kinds(life) for life in of_use_case(Present().run(400), HIGH_RISK).values()]
    assert ["output.generated", "review.opened", "review.decided", "output.used"] in found


def test_live_assists_wait_at_their_vendor() -> None:
    present = Present()
    present.run(10)
    assert len(list(present.assists.between(NOW, NOW + DAY))) == 5


def test_what_was_to_come_after_the_past_comes_in_its_time(past: list[Sent]) -> None:
    later: list[Sent] = [{**event, "time": "2026-11-22T10:00:00Z"} for event in past[:3]]
    present = Present(later=later)
    assert present.live.step(NOW) == []
    assert present.live.step(datetime(2026, 11, 22, 10, tzinfo=UTC))[:3] == later


@pytest.mark.parametrize("seed", range(4))
def test_a_clock_set_back_makes_no_time_twice(seed: int) -> None:
    present = Present(seed)
    present.run(3)
    events = present.run(20, start=NOW - timedelta(minutes=30))
    talked = [event for event in events if event["data"].get("sku") == "neuvontabotti"]
    assert all(event["data"]["charge_period_start"] < event["data"]["charge_period_end"] for event in talked)


def test_the_same_seed_lives_the_same() -> None:
    assert Present(seed=3).run(60) == Present(seed=3).run(60)
    assert Present(seed=3).run(60) != Present(seed=4).run(60)
