from datetime import date

import pytest

from services.cost_alerts.domain.allocation import Allocation
from services.cost_alerts.domain.units import Units
from services.cost_alerts.domain.use import Profile
from services.shared.events.register import AllocationRule, Match, Placement, Unit

DAY = date(2026, 10, 14)
JANUARY = date(2026, 1, 1)


def rule(name: str, order: int, since: date = JANUARY, until: date | None = None, **match: object) -> AllocationRule:
    wanted = Match.model_validate(match)
    return AllocationRule(id=name, order=order, match=wanted, unit=name, valid_from=since, valid_to=until)


def placed(unit: str, since: date = JANUARY, until: date | None = None) -> Placement:
    return Placement(person="p-1x", unit=unit, valid_from=since, valid_to=until)


PROFILE = Profile(
    "claude",
    "sonnet",
    ("m",),
    person="p-1x",
    account="a-1",
    tags=(
        ("api_key", "k-1"),
        ("dept", "KYMP"),
        ("page_path", "/koulut/haku"),
        ("security_group", "g-1"),
        ("team", "x"),
    ),
    environment="test",
)


@pytest.mark.parametrize(
    ("placements", "rules", "expected"),
    [
        pytest.param([], [], ("unallocated", None), id="nothing fits"),
        pytest.param([placed("home")], [rule("r", 0)], ("home", "placement"), id="the person's own unit goes first"),
        pytest.param([placed("home", until=DAY)], [rule("r", 0)], ("r", "r"), id="a placement that ended that day"),
        pytest.param([placed("old", until=DAY), placed("new", DAY)], [], ("new", "placement"), id="moved that day"),
        pytest.param([], [rule("b", 2), rule("a", 10)], ("b", "b"), id="the lowest order decides"),
        pytest.param([], [rule("b", 1), rule("a", 1)], ("a", "a"), id="of one order the first by name"),
        pytest.param([], [rule("r", 1, account="a-2")], ("unallocated", None), id="another account"),
        pytest.param([], [rule("r", 1, account="a-1")], ("r", "r"), id="the account"),
        pytest.param([], [rule("r", 1, person="p-1x")], ("r", "r"), id="the person by rule"),
        pytest.param([], [rule("r", 1, system="claude", environment="test")], ("r", "r"), id="system and environment"),
        pytest.param([], [rule("r", 1, environment="production")], ("unallocated", None), id="another environment"),
        pytest.param([], [rule("r", 1, tags={"dept": "KYMP"})], ("r", "r"), id="one of its tags"),
        pytest.param([], [rule("r", 1, tags={"dept": "KYMP", "x": "y"})], ("unallocated", None), id="a tag it lacks"),
        pytest.param([], [rule("r", 1, api_key="k-1", group="g-1")], ("r", "r"), id="an API key and a security group"),
        pytest.param([], [rule("r", 1, api_key="k-2")], ("unallocated", None), id="another API key"),
        pytest.param([], [rule("r", 1, project="x")], ("unallocated", None), id="a project it does not tell"),
        pytest.param([], [rule("r", 1, path="/koulut")], ("r", "r"), id="the beginning of a page's path"),
        pytest.param([], [rule("r", 1, path="/koulut/haku/x")], ("unallocated", None), id="a longer path"),
        pytest.param([], [rule("r", 1, sku="sonnet")], ("r", "r"), id="the SKU"),
        pytest.param([], [rule("r", 1, until=DAY)], ("unallocated", None), id="a rule that ended"),
        pytest.param([], [rule("r", 1, since=DAY)], ("r", "r"), id="a rule from its first day"),
    ],
)
def test_who_pays(placements: list[Placement], rules: list[AllocationRule], expected: tuple[str, str | None]) -> None:
    owner = Allocation(placements, rules, Units([])).owner(PROFILE, DAY)
    assert (owner.unit, owner.rule) == expected


def test_a_placement_pays_and_the_first_rule_that_fits_says_the_project() -> None:
    rules = [rule("other", 1, account="a-2"), rule("r", 2).model_copy(update={"project": "P-7"})]
    owner = Allocation([placed("home")], rules, Units([unit("home", None, cost_centre="301")])).owner(PROFILE, DAY)
    assert (owner.unit, owner.rule, owner.cost_centre, owner.project) == ("home", "placement", "301", "P-7")


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        pytest.param(date(2026, 10, 13), {"old": 2}, id="the day before the move"),
        pytest.param(DAY, {"old": 1, "new": 1}, id="the day of the move"),
        pytest.param(date(2025, 12, 31), {}, id="before anybody was placed"),
    ],
)
def test_heads_are_counted_by_the_day(day: date, expected: dict[str, int]) -> None:
    stays = Placement(person="p-2x", unit="old", valid_from=JANUARY)
    assert Allocation([placed("old", until=DAY), placed("new", DAY), stays], [], Units([])).headcount(day) == expected


def unit(
    name: str, parent: str | None, since: date = JANUARY, until: date | None = None, cost_centre: str | None = None
) -> Unit:
    return Unit(id=name, parent=parent, name={"en": name}, cost_centre=cost_centre, valid_from=since, valid_to=until)


def test_a_reorganisation_moves_no_cost_of_the_days_before_it() -> None:
    units = Units(
        [unit("city", None), unit("a", "city"), unit("b", "city"), unit("team", "a", until=DAY), unit("team", "b", DAY)]
    )
    assert units.with_ancestors("team", date(2026, 10, 13)) == ["team", "a", "city"]
    assert units.with_ancestors("team", DAY) == ["team", "b", "city"]


def test_a_circle_of_parents_ends() -> None:
    assert Units([unit("a", "b"), unit("b", "a")]).with_ancestors("a", DAY) == ["a", "b"]
