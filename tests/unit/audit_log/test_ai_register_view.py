"""The AI register's view, pure: its order, its tree, how far a benefit is, and what is too small to be told."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.audit_log.adapters.ai_register.versions import Change, compared
from services.audit_log.domain.ai_register.view import CLASS_ORDER, Counts, Facts, View, view
from services.audit_log.web.ai_register import USES_ON_A_PAGE, RegisterPage
from services.audit_log.web.public_register import oversight_sentences, public_register
from services.shared.events import plans, register
from services.shared.events.governance import RiskClass
from services.shared.web.words import Words
from tests.unit.audit_log.events import MONDAY
from tests.unit.audit_log.register_city import CITY_POLICY, unit, use

TODAY = date(2026, 11, 16)
TARGET = {"measure": "m", "counts": "cases", "baseline": "100", "target": "200", "owner": "head"}


def facts(*given: Any, counts: dict[tuple[str, str], Counts] | None = None) -> Facts:  # noqa: ANN401  # any facts
    def of(kind: type) -> tuple[Any, ...]:
        return tuple(one for one in given if isinstance(one, kind))

    return Facts(
        units=of(register.Unit), systems={one.id: one for one in of(register.System)}, use_cases=of(register.UseCase),
        policies=(CITY_POLICY,), benefits=of(plans.BenefitResult), counts=counts or {}, findings={}, costs={},
    )  # fmt: skip


def shown(*given: Any, counts: dict[tuple[str, str], Counts] | None = None) -> View:  # noqa: ANN401
    return view(facts(*given, counts=counts), MONDAY, TODAY)


def result(month: str, amount: int) -> plans.BenefitResult:
    return plans.BenefitResult(id=month, use_case="a", month=month, result=Decimal(amount), source="s")


def test_every_class_has_its_place() -> None:
    assert sorted(CLASS_ORDER) == sorted(get_args(RiskClass))


names = st.sampled_from([f"u{number}" for number in range(6)])


@given(
    st.dictionaries(names, st.none() | names, max_size=6),
    st.lists(st.tuples(names, st.sampled_from(CLASS_ORDER)), max_size=12),
)
def test_every_unit_and_every_use_stands_once_whatever_the_tree(
    parents: dict[str, str | None], uses: list[tuple[str, Any]]
) -> None:
    units = [unit(name, parent) for name, parent in parents.items()]
    cases = [use(f"c{number}", where, risk_class) for number, (where, risk_class) in enumerate(uses)]
    found = shown(*units, *cases)
    listed = [one.unit.id for one in found.units]
    assert sorted(listed) == sorted(parents.keys() | {where for where, _ in uses})
    assert sorted(found.entries) == sorted(one.id for one in cases)
    for one in found.units:
        order = [CLASS_ORDER.index(entry.use_case.risk_class) for entry in one.entries]
        assert order == sorted(order)
        assert len({above.id for above in one.units}) == len(one.units)


@pytest.mark.parametrize(
    ("target", "results", "done"),
    [
        pytest.param(TARGET, [], None, id="nothing reported"),
        pytest.param(None, [("2026-10", 5)], None, id="no target"),
        pytest.param(TARGET, [("2026-10", 150), ("2026-09", 120)], "0.5", id="the last month counts"),
        pytest.param(TARGET, [("2026-10", 250)], "1.5", id="beyond the target"),
        pytest.param(TARGET, [("2026-10", 50)], "-0.5", id="worse than before"),
        pytest.param(TARGET | {"baseline": "40", "target": "20"}, [("2026-10", 35)], "0.25", id="less is better"),
        pytest.param(TARGET | {"target": "100"}, [("2026-10", 100)], None, id="no way to go"),
    ],
)
def test_how_far_a_benefit_is(target: Any, results: list[tuple[str, int]], done: str | None) -> None:  # noqa: ANN401
    found = shown(unit("city", None), use("a", "city", "limited", benefit=target), *(result(*one) for one in results))
    assert found.entries["a"].benefit.done == (None if done is None else Decimal(done))


@pytest.mark.parametrize(
    ("counts", "outputs", "share"),
    [
        pytest.param(Counts(19, 19, MONDAY, 29, 29), None, None, id="just too few"),
        pytest.param(Counts(20, 20, MONDAY, 30, 30), 20, "1.00", id="just enough"),
        pytest.param(Counts(0, 0, None, 30, 0), None, "0.00", id="nothing was reviewed"),
        pytest.param(Counts(20, 2000, MONDAY, 1000, 999), 2000, "0.99", id="nearly all is not all"),
    ],
)
def test_small_numbers_are_not_told_to_the_public(counts: Counts, outputs: int | None, share: str | None) -> None:
    found = shown(unit("city", None), use("a", "city", "limited"), counts={("a", "city"): counts})
    [told] = public_register(found, None).use_cases
    assert told.live_use.outputs_last_90_days.number == outputs
    assert told.oversight.share_reviewed == share
    assert told.live_use.last_used_month == (None if counts.last_at is None else "2026-11")


def test_the_publisher_is_the_unit_above_the_others() -> None:
    found = shown(unit("a-stray", None), unit("city", None), unit("kymp"), use("x", "unheard-of", "limited"))
    assert public_register(found, None).publisher.en == "City"
    assert public_register(shown(), None).publisher.fi == "Kaupunki"


def test_a_share_needs_five_and_units_add_up() -> None:
    some = {("a", "city"): Counts(1, 2, None, 3, 1), ("", "city"): Counts(1, 1, MONDAY, 2, 2)}
    found = shown(unit("city", None), use("a", "city", "limited"), counts=some)
    assert found.entries["a"].counts.share is None
    assert found.units[0].counts == Counts(2, 3, MONDAY, 5, 3)
    assert found.units[0].counts.share == Decimal("0.6")


def test_pages_of_a_long_register_hold_every_use_once() -> None:
    uses = [use(f"c{number:03d}", f"u{number % 7}", "minimal") for number in range(2 * USES_ON_A_PAGE + 5)]
    found = shown(unit("city", None), *(unit(f"u{number}") for number in range(7)), *uses)
    listed: list[str] = []
    place: int | None = 0
    while place is not None:
        page = RegisterPage(found, None, None, place)
        listed += [one.use_case.id for group in page.groups for one in group.entries]
        place = page.next_place
    assert len(listed) == len(set(listed)) == len(uses)


RULE = {"risk_class": "limited", "gate": "before_use", "deadline_business_hours": 16}


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({}, "reviews the output before it is used. The review is due within 16 business hours."),
        ({"sample_rate": "0.05"}, "5.0% are drawn by lot"),
        ({"four_eyes": "adverse"}, "Where the outcome is to a person's disadvantage, two persons review."),
        ({"four_eyes": "adverse", "reviewers": 2}, "At least two persons review."),
        ({"four_eyes": "all"}, "At least two persons review."),
        ({"second_rate": "0.1"}, "Another unit reviews 10% of the outputs again."),
        ({"training_required": True}, "Reviewers have valid training."),
        ({"gate": "never", "training_required": True}, "Such use is forbidden."),
    ],
)
def test_a_rule_is_told_in_words(members: dict[str, Any], said: str) -> None:
    told = " ".join(oversight_sentences(register.ReviewRule.model_validate({**RULE, **members}), Words("en")))
    assert said in told
    assert ("training" in told) == (members.get("training_required", False) and members.get("gate") != "never")


def change(seq: int, fact: dict[str, Any] | None) -> Change:
    return Change(seq, datetime(2026, 11, 1, tzinfo=UTC), "a@2026-01-01", fact)


def test_a_version_tells_what_it_changed_and_nothing_that_only_was_left_out() -> None:
    first: dict[str, Any] = {"owner": "x", "dpia": None, "covers": {}}
    found = compared([change(1, first), change(2, {"owner": "y", "fria": None}), change(3, None), change(4, first)])
    assert [one.changed for one in found] == [None, ["owner"], None, ["owner"]]
