"""Rubber-stamp indicators: of teams, with enough items and people, never of a person."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.audit_log.domain.reviews.indicators import (
    EDGES,
    LEAST_REVIEWERS,
    LEAST_REVIEWS,
    NAMES,
    Indicators,
    Name,
    Reviewed,
    TeamIndicators,
    indicators,
    kappa_of,
    share_of,
)
from tests.unit.audit_log.events import MONDAY


def review(number: int, reviewer: int = 0, team: str = "kymp", **members: Any) -> Reviewed:  # noqa: ANN401
    """An approval, opened a minute before, ten minutes after the one before it."""
    decided = MONDAY + timedelta(minutes=10 * number)
    made = Reviewed(f"o-{number}", team, f"p-{reviewer}", decided, "approved", decided - timedelta(minutes=1))
    return made._replace(length=600)._replace(**members)


def many(count: int = 40, people: int = 4, **members: Any) -> list[Reviewed]:  # noqa: ANN401
    return [review(number, number % people, **members) for number in range(count)]


def only(found: Indicators) -> TeamIndicators:
    (team,) = found.teams
    return team


@pytest.mark.parametrize(
    ("name", "members", "count", "of"),
    [
        ("changed", {"decision": "edited"}, 40, 40),
        ("changed", {"decision": "rejected"}, 40, 40),
        ("changed", {}, 0, 40),
        ("hasty", {"length": 4_000}, 40, 40),  # read in 4 minutes; 30 % of it is 72 seconds, and each had 60
        ("hasty", {"length": 3_300}, 0, 40),
        ("hasty", {"length": None}, 0, 0),
        ("hasty", {"bulk": True, "length": 9_000}, 0, 0),
        ("bulk", {"bulk": True}, 40, 40),
        ("bulk", {"bulk": True, "decision": "rejected"}, 0, 0),
        ("never_opened", {"opened_at": None}, 40, 40),
        ("after_use", {"after_use": True}, 40, 40),
        ("barely_edited", {"decision": "edited", "edit_ratio": 0.009}, 40, 40),
        ("barely_edited", {"decision": "edited", "edit_ratio": 0.01}, 0, 40),
        ("barely_edited", {"decision": "edited"}, 0, 0),
        ("burst", {}, 0, 40),
    ],
)
def test_what_each_indicator_counts(name: Name, members: dict[str, Any], count: int, of: int) -> None:
    share = only(indicators(many(**members))).shares[name]
    assert (share.count, share.of) == (count, of)
    assert (share.interval is None) == (of < LEAST_REVIEWS)


@pytest.mark.parametrize(("seconds", "inside"), [(9, 30), (10, 0)])
def test_a_burst_is_ten_decisions_of_one_reviewer_faster_than_six_a_minute(seconds: int, inside: int) -> None:
    quick = [
        review(number, number % 3)._replace(decided_at=MONDAY + timedelta(seconds=seconds * (number // 3)))
        for number in range(30)
    ]
    assert only(indicators(quick)).shares["burst"].count == inside
    alone = [one._replace(reviewer=f"p-{number}") for number, one in enumerate(quick)]
    assert only(indicators(alone)).shares["burst"].count == 0, "many people at once are no burst"


def test_a_bulk_is_no_burst() -> None:
    at_once = [one._replace(decided_at=MONDAY, bulk=True) for one in many()]
    assert (only(indicators(at_once)).shares["burst"].of, only(indicators(at_once)).dwell) == (0, None)


def test_dwell_is_told_in_quartiles() -> None:
    timed = [one._replace(opened_at=one.decided_at - timedelta(seconds=number)) for number, one in enumerate(many(41))]
    assert only(indicators(timed)).dwell == (41, 10.0, 20.0, 30.0)
    assert only(indicators(timed[:29])).dwell is None


def test_opened_after_the_decision_is_no_dwell() -> None:
    assert only(indicators(many(opened_at=MONDAY + timedelta(days=9)))).dwell is None


@pytest.mark.parametrize(
    ("count", "of", "look"),
    [(0, 29, None), (0, 200, "low"), (4, 200, None), (60, 200, None), (61, 200, "high")],
)
def test_a_share_is_looked_at_beyond_its_edges(count: int, of: int, look: str | None) -> None:
    assert share_of("changed", count, of).look == look


def test_two_reviewers_of_one_output() -> None:
    firsts = many(40, 4)
    seconds = [
        one._replace(
            reviewer="p-second",
            decided_at=one.decided_at + timedelta(minutes=1),
            decision="rejected" if number < 10 else "approved",
        )
        for number, one in enumerate(firsts)
    ]
    found = only(indicators([*seconds, *firsts]))
    assert found.shares["second_agreed"].count == 30
    assert found.kappa == pytest.approx(0.0), "who always approves agrees by chance alone"


@pytest.mark.parametrize(
    ("pairs", "kappa"),
    [
        ([("approved", "approved")] * 29, None),
        ([("approved", "approved")] * 30, None),
        ([("approved", "approved")] * 20 + [("rejected", "rejected")] * 20, 1.0),
        ([("approved", "approved")] * 20 + [("approved", "rejected")] * 5 + [("rejected", "approved")] * 10
         + [("rejected", "rejected")] * 15, 0.4),
    ],
)  # fmt: skip
def test_kappa(pairs: list[tuple[str, str]], kappa: float | None) -> None:
    assert kappa_of(pairs) == (None if kappa is None else pytest.approx(kappa))


@pytest.mark.parametrize(("people", "shown"), [(1, 0), (2, 0), (3, 1)])
def test_a_team_of_few_is_not_shown(people: int, shown: int) -> None:
    found = indicators(many(people=people))
    assert (len(found.teams), found.hidden, found.everybody is None) == (shown, 1 - shown, not shown)


def test_all_teams_together_do_not_tell_of_a_small_one_by_subtraction() -> None:
    large, small = many(60, 4), [one._replace(reviewer="p-alone", team="hyve") for one in many(35)]
    found = indicators([*large, *small])
    assert ([team.team for team in found.teams], found.everybody, found.hidden) == (["kymp"], None, 1)
    three = [one._replace(team=f"t-{one.reviewer}") for one in many(60, 3)]
    together = indicators([*large, *three]).everybody
    assert together is not None
    assert together.reviews == 120, "of three people together it may be told"


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2), st.sampled_from(["approved", "edited", "rejected"]),
                          st.booleans(), st.booleans()), max_size=60))  # fmt: skip
def test_nothing_that_is_told_names_a_person_or_is_about_too_few(rows: list[tuple[int, int, str, bool, bool]]) -> None:
    made = [
        review(number, who, f"t-{team}", decision=decision, bulk=bulk, after_use=late)
        for number, (who, team, decision, bulk, late) in enumerate(rows)
    ]
    found = indicators(made)
    assert "p-" not in repr(found)
    people = {team: {one.reviewer for one in made if one.team == team} for team in {one.team for one in made}}
    assert {team.team for team in found.teams} == {
        name for name, some in people.items() if len(some) >= LEAST_REVIEWERS
    }
    for team in found.teams:
        assert team.reviews == sum(one.team == team.team for one in made)
        assert all((share.interval is None) == (share.of < LEAST_REVIEWS) for share in team.shares.values())


def test_every_indicator_has_an_edge() -> None:
    assert set(EDGES) == set(NAMES)
