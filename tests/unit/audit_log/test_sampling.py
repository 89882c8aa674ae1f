"""Draws: of an output by its id and a salt, of more by the log's root, and how many an auditor needs."""

from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.audit_log.domain.reviews.case import Case, KnownUse
from services.audit_log.domain.reviews.changing import changed
from services.audit_log.domain.reviews.duty import Duty, Rulebook, duty_of
from services.audit_log.domain.reviews.findings import requested
from services.audit_log.domain.reviews.sampling import (
    LATE_NEWS,
    SECOND,
    Seed,
    Stratum,
    closes_at,
    commitment_of,
    committed,
    demanded_more,
    draw,
    drawn_more,
    is_drawn,
    may_be_drawn,
    next_period,
    order_by_seed,
    parse_period,
    period_for,
    period_of,
    revealed,
    salt_of,
    sample_size,
    too_few,
    top_up,
)
from services.audit_log.domain.reviews.statistics import wilson
from services.shared.events import decode, encode, topic_of
from services.shared.events.governance import Output, Voiding
from services.shared.events.register import Policy, ReviewRule
from tests.unit.audit_log.events import MONDAY, USE_CASES, at, generated, used

KEY = bytes(range(32))
SALT = salt_of(KEY, "2026-Q4")
Q4 = parse_period("2026-Q4")
NOW = datetime(2027, 1, 3, 12, tzinfo=UTC)
NEARLY_ALL = "0.999999999999"
VOIDING = Voiding(output_id="o-1", voided_at=MONDAY, reason="a test", approver="head")
ROOT = bytes.fromhex("ab" * 32)


def rule(**members: object) -> ReviewRule:
    fields = {"risk_class": "limited", "gate": "after_use", "deadline_business_hours": 40, "sample_rate": "0.05"}
    return ReviewRule.model_validate({**fields, **members})


def policy(*rules: ReviewRule) -> Policy:
    return Policy(id="review", version=3, approved_by="record 12", valid_from=date(2026, 1, 1), rules=rules)


def chat(name: str = "o-1", when: datetime = MONDAY, **members: object) -> Output:
    return generated(name, when, use_case="chat", **members).data


def duty(output: Output, *rules: ReviewRule) -> Duty:
    found = duty_of(output, Rulebook((policy(*rules),), USE_CASES))
    assert found
    return found


def stratum(count: int, of: ReviewRule, drawn: int = 0) -> Stratum:
    made = Stratum("now-assist", "limited")
    for number in range(count):
        made.add(f"o-{number}", duty(chat(), of), drawn=number < drawn)
    return made


def case(output: Output, of: ReviewRule, *uses: str, **members: object) -> Case:
    found = [used(output.output_id, at(1), f"u-{number}", kind=kind).data for number, kind in enumerate(uses)]
    known = tuple(KnownUse(use=use, index=number, ingest_time=at(1)) for number, use in enumerate(found))
    return changed(Case(output_id=output.output_id, output=output, duty=duty(output, of), uses=known), **members)


class TestPeriods:
    @pytest.mark.parametrize(
        ("day", "kind", "name", "first", "last"),
        [
            pytest.param(date(2026, 11, 23), "month", "2026-11", date(2026, 11, 1), date(2026, 11, 30), id="a month"),
            pytest.param(date(2028, 2, 29), "month", "2028-02", date(2028, 2, 1), date(2028, 2, 29), id="a leap month"),
            pytest.param(date(2026, 1, 1), "quarter", "2026-Q1", date(2026, 1, 1), date(2026, 3, 31), id="first day"),
            pytest.param(date(2026, 12, 31), "quarter", "2026-Q4", date(2026, 10, 1), date(2026, 12, 31), id="last"),
            pytest.param(date(2026, 7, 1), "year", "2026", date(2026, 1, 1), date(2026, 12, 31), id="a year"),
        ],
    )
    def test_a_day_belongs_to_one_period_of_a_kind(
        self, day: date, kind: str, name: str, first: date, last: date
    ) -> None:
        found = period_of(day, kind)
        assert (found.name, found.first_day, found.last_day) == (name, first, last)
        assert parse_period(name) == found

    @pytest.mark.parametrize(
        ("name", "after"),
        [("2026-12", "2027-01"), ("2026-Q4", "2027-Q1"), ("2026", "2027")],
        ids=["month", "quarter", "year"],
    )
    def test_the_next_one_follows_over_new_year(self, name: str, after: str) -> None:
        assert next_period(parse_period(name)).name == after

    @pytest.mark.parametrize(
        "name", ["", "2026-Q5", "2026-13", "26", "2026-4", "Q4-2026", "2026-", "2026-Q", "2026-11-1"]
    )
    def test_what_is_no_period_is_refused_with_examples(self, name: str) -> None:
        with pytest.raises(ValueError, match="2026-Q4"):
            parse_period(name)

    @pytest.mark.parametrize(
        ("made", "period"),
        [
            pytest.param(datetime(2026, 12, 31, 21, 59, tzinfo=UTC), "2026-Q4", id="a minute before midnight"),
            pytest.param(datetime(2026, 12, 31, 22, tzinfo=UTC), "2027-Q1", id="midnight in Helsinki, still 31 in UTC"),
            pytest.param(datetime(2026, 6, 30, 21, tzinfo=UTC), "2026-Q3", id="midnight in summer time"),
        ],
    )
    def test_an_output_belongs_to_its_helsinki_day(self, made: datetime, period: str) -> None:
        assert period_for(chat(when=made), duty(chat(when=made), rule())).name == period

    def test_a_period_ends_at_midnight_in_helsinki(self) -> None:
        assert parse_period("2026-09").end == datetime(2026, 9, 30, 21, tzinfo=UTC)

    def test_late_news_are_waited_for_and_longer_where_the_salt_came_late(self) -> None:
        assert closes_at(Q4, at(0)) == Q4.end + LATE_NEWS
        assert closes_at(parse_period("2026-Q3"), at(0)) == at(0) + LATE_NEWS


class TestDraw:
    def test_the_draw_is_what_the_guide_says(self) -> None:
        """SHA-256(salt, 0x00, id) as a share of 2^256, so that anybody can do it with another program."""
        number = int(sha256(SALT + b"\x00" + b"o-1").hexdigest(), 16)
        below = Decimal(number * 10**20 >> 256).scaleb(-20)
        assert is_drawn(SALT, "o-1", below) is False
        assert is_drawn(SALT, "o-1", below + Decimal("1e-20")) is True

    def test_salts_of_periods_have_nothing_in_common(self) -> None:
        assert len(SALT) == 32
        assert salt_of(KEY, "2027-Q1") != SALT != salt_of(KEY[::-1], "2026-Q4")
        assert commitment_of(SALT) == sha256(SALT).hexdigest()

    @pytest.mark.parametrize(("rate", "drawn"), [("0", False), ("1", True)], ids=["none", "all"])
    @given(name=st.text(max_size=30))
    def test_the_ends_of_the_scale_are_exact(self, rate: str, drawn: bool, name: str) -> None:
        assert is_drawn(SALT, name, Decimal(rate)) is drawn

    @given(low=st.decimals(0, 1, places=6), high=st.decimals(0, 1, places=6), name=st.text(max_size=20))
    def test_a_higher_rate_draws_no_output_less(self, low: Decimal, high: Decimal, name: str) -> None:
        low, high = min(low, high), max(low, high)
        assert is_drawn(SALT, name, high) or not is_drawn(SALT, name, low)

    def test_about_the_share_is_drawn_and_the_second_draw_is_another(self) -> None:
        names = [f"o-{number}" for number in range(4_000)]
        first = {name for name in names if is_drawn(SALT, name, Decimal("0.05"))}
        second = {name for name in names if is_drawn(SALT, name, Decimal("0.05"), SECOND)}
        assert 150 < len(first) < 250
        assert 150 < len(second) < 250
        assert len(first & second) < 30

    @given(st.permutations(range(30)), st.binary(min_size=32, max_size=32))
    def test_e23_the_order_of_arrival_changes_nothing(self, order: list[int], salt: bytes) -> None:
        half = rule(sample_rate="0.5", second_rate="0.5")
        outputs = [chat(f"o-{number}", at(number)) for number in range(30)]
        drawn = {one.output_id: draw(one, duty(one, half), salt) for one in outputs}
        again = {outputs[n].output_id: draw(outputs[n], duty(outputs[n], half), salt) for n in order}
        assert again == drawn

    def test_a_drawn_output_is_demanded_by_its_rule(self) -> None:
        every = rule(sample_rate=NEARLY_ALL)
        output = chat()
        (found,) = draw(output, duty(output, every), SALT)
        assert (found.because, found.period, found.reviewers, found.policy_version) == ("sample", "2026-Q4", 1, 3)
        assert found.due_at == datetime(2026, 11, 23, 8, tzinfo=UTC), "40 business hours after Monday 10:00"

    @pytest.mark.parametrize(
        ("of", "because"),
        [
            pytest.param(rule(sample_rate="0"), [], id="a share of none"),
            pytest.param(rule(sample_rate="1", second_rate="1"), ["second"], id="a second review of all"),
            pytest.param(rule(sample_rate="0", second_rate="1"), [], id="no second review without a first"),
            pytest.param(rule(sample_rate=NEARLY_ALL, second_rate="1"), ["sample", "second"], id="drawn for both"),
            pytest.param(rule(sample_rate=NEARLY_ALL, reviewers=3), ["sample"], id="as many reviewers as ever"),
        ],
    )
    def test_what_is_drawn_for_what(self, of: ReviewRule, because: list[str]) -> None:
        found = draw(chat(), duty(chat(), of), SALT)
        assert [one.because for one in found] == because
        assert [one.reviewers for one in found] == [2 if one == "second" else of.reviewers for one in because]

    @pytest.mark.parametrize(
        ("drawn_from", "may"),
        [
            pytest.param(case(chat(), rule()), True, id="a share of them is"),
            pytest.param(case(chat(), rule(sample_rate="1")), False, id="all are reviewed: nothing to draw"),
            pytest.param(case(chat(), rule(sample_rate="1", second_rate="0.1")), True, id="all, a share of them twice"),
            pytest.param(case(chat(), rule(gate="none")), False, id="no review in this class"),
            pytest.param(case(chat(), rule(gate="never")), False, id="forbidden anyway"),
            pytest.param(case(chat(environment="test"), rule()), False, id="test traffic is not"),
            pytest.param(case(chat(), rule(), duty=None), False, id="no policy yet"),
            pytest.param(Case(output_id="o-1"), False, id="not told yet"),
            pytest.param(case(chat(step=True), rule()), False, id="an inner step is not"),
            pytest.param(case(chat(step=True), rule(), "copied"), False, id="nor when it was copied on"),
            pytest.param(case(chat(step=True), rule(), "sent"), True, id="a step with an effect outside is"),
            pytest.param(case(chat(), rule(), voided=VOIDING), False, id="what never was is not"),
        ],
    )
    def test_what_may_be_drawn(self, drawn_from: Case, may: bool) -> None:
        assert may_be_drawn(drawn_from) is may

    def test_the_same_demand_has_one_name_and_reads_back(self) -> None:
        every = rule(sample_rate="0.5", second_rate="1")
        names = set()
        for number in range(20):
            output = chat(f"o-{number}")
            for demand in draw(output, duty(output, every), SALT):
                event = requested(demand, at(1))
                assert event.id == requested(demand, at(9)).id
                assert decode(encode(event)) == event
                names.add(event.id)
        assert len(names) > 10


class TestSalts:
    def test_what_is_told_of_a_salt_fits_together(self) -> None:
        before, after = committed(Q4, SALT, at(0)), revealed("2026-Q4", SALT, NOW)
        assert sha256(bytes.fromhex(after.data.salt)).hexdigest() == before.data.commitment
        assert SALT.hex() not in encode(before).decode()
        assert (before.id, after.id) == (committed(Q4, SALT, NOW).id, revealed("2026-Q4", SALT, at(0)).id)
        assert {topic_of(before), topic_of(after)} == {"valvomo.governance"}
        assert [decode(encode(event)) for event in (before, after)] == [before, after]


class TestTopUp:
    @pytest.mark.parametrize(
        ("count", "least", "drawn", "more", "short"),
        [
            pytest.param(200, 59, 10, 49, None, id="E24: what lacks is drawn"),
            pytest.param(200, 59, 59, 0, None, id="enough"),
            pytest.param(200, 59, 70, 0, None, id="more than enough"),
            pytest.param(200, 0, 0, 0, None, id="no least number"),
            pytest.param(30, 59, 2, 28, "2026-Q4 30/59", id="all of them, and still too few"),
            pytest.param(30, 59, 30, 0, "2026-Q4 30/59", id="all were drawn, too few"),
            pytest.param(0, 59, 0, 0, None, id="nothing was made"),
        ],
    )
    def test_e24_the_least_number_is_reached(
        self, count: int, least: int, drawn: int, more: int, short: str | None
    ) -> None:
        made = stratum(count, rule(sample_least=least), drawn)
        chosen = top_up(made, ROOT)
        assert len(set(chosen)) == more
        assert set(chosen) <= set(made.undrawn)
        found = too_few("2026-Q4", made, NOW)
        assert (found and found.data.about) == short
        assert found is None or decode(encode(found)) == found

    def test_what_was_drawn_says_from_what(self) -> None:
        made = stratum(100, rule(sample_least=59), 9)
        chosen = top_up(made, ROOT)
        told = drawn_more("2026-Q4", made, chosen, Seed(ROOT.hex(), 4_000), NOW)
        assert decode(encode(told)) == told
        assert told.data.model_dump() == {
            "period": "2026-Q4", "system": "now-assist", "risk_class": "limited", "population": 100,
            "drawn_by_hash": 9, "least": 59, "checkpoint_size": 4_000, "seed": "ab" * 32, "output_ids": tuple(chosen),
        }  # fmt: skip

    def test_the_time_to_review_counts_from_the_draw(self) -> None:
        told = demanded_more(chat(), duty(chat(), rule()), "2026-Q4", NOW).data
        assert told.due_at == datetime(2027, 1, 11, 14, tzinfo=UTC), "Sunday; Epiphany is off"
        assert (told.because, told.period, told.reviewers) == ("top_up", "2026-Q4", 1)

    @given(st.permutations(range(40)))
    def test_the_order_of_the_population_changes_nothing_of_what_is_drawn(self, order: list[int]) -> None:
        made, again = stratum(40, rule(sample_least=20), 5), stratum(0, rule())
        again.least, again.drawn = made.least, made.drawn
        again.undrawn = [f"o-{number}" for number in order if number >= 5]
        assert top_up(again, ROOT) == top_up(made, ROOT)

    def test_the_larger_least_number_holds_where_the_policy_changed(self) -> None:
        made = stratum(50, rule(sample_least=20))
        made.add("o-x", duty(chat(), rule(sample_least=5)), drawn=False)
        assert len(top_up(made, ROOT)) == 20

    def test_too_few_of_several_units_are_nobodys(self) -> None:
        made = stratum(3, rule(sample_least=9))
        assert (alone := too_few("2026-Q4", made, NOW)) is not None
        made.add("o-x", duty(chat(unit="sote"), rule(sample_least=9)), drawn=False)
        assert (shared := too_few("2026-Q4", made, NOW)) is not None
        assert (alone.data.unit, shared.data.unit, shared.data.policy_version) == ("kymp", "unallocated", 3)
        assert alone.id == shared.id

    def test_another_root_gives_another_order(self) -> None:
        names = [f"o-{number}" for number in range(20)]
        orders = [order_by_seed(names, sha256(bytes([number])).digest()) for number in range(5)]
        assert len({tuple(order) for order in orders}) == 5
        assert all(sorted(order) == sorted(names) for order in orders)
        assert orders[0] == order_by_seed(reversed(names), sha256(b"\x00").digest())


class TestSampleSize:
    """The tables that auditors know (attribute sampling)."""

    @pytest.mark.parametrize(
        ("confidence", "sizes"),
        [("0.90", [22, 45, 76, 230]), ("0.95", [29, 59, 99, 299]), ("0.99", [44, 90, 152, 459])],
    )
    def test_without_deviations(self, confidence: str, sizes: list[int]) -> None:
        rates = ["0.10", "0.05", "0.03", "0.01"]
        assert [sample_size(Decimal(confidence), Decimal(rate)) for rate in rates] == sizes

    def test_with_deviations(self) -> None:
        found = [sample_size(Decimal("0.95"), Decimal("0.05"), deviations) for deviations in range(5)]
        assert found == [59, 93, 124, 153, 181]

    @pytest.mark.parametrize(("population", "size"), [(20, 19), (50, 31), (100, 45), (200, 51), (1_000, 57)])
    def test_of_small_populations(self, population: int, size: int) -> None:
        assert sample_size(Decimal("0.95"), Decimal("0.05"), population=population) == size

    def test_three_over_n(self) -> None:
        """No error in n items gives an upper bound of about 3/n."""
        assert sample_size(Decimal("0.95"), Decimal("0.003")) == 998

    @given(st.integers(5, 400), st.integers(0, 3))
    def test_no_sample_is_larger_than_its_population(self, population: int, deviations: int) -> None:
        if deviations >= -(-population // 20):
            with pytest.raises(ValueError, match="test all items"):
                sample_size(Decimal("0.95"), Decimal("0.05"), deviations, population)
        else:
            assert deviations < sample_size(Decimal("0.95"), Decimal("0.05"), deviations, population) <= population

    @pytest.mark.parametrize(
        ("confidence", "rate", "deviations", "population"),
        [
            pytest.param("1", "0.05", 0, None, id="certainty"),
            pytest.param("0.95", "0", 0, None, id="no rate"),
            pytest.param("0.95", "0.05", -1, None, id="less than none"),
            pytest.param("0.95", "0.05", 1, 20, id="as many as are tolerable"),
        ],
    )
    def test_what_no_sample_can_say_is_refused(
        self, confidence: str, rate: str, deviations: int, population: int | None
    ) -> None:
        with pytest.raises(ValueError, match="deviations"):
            sample_size(Decimal(confidence), Decimal(rate), deviations, population)


class TestIntervals:
    @pytest.mark.parametrize(
        ("found", "tested", "low", "high"),
        [
            pytest.param(0, 30, 0.0, 0.11, id="none of 30 is up to 11 %"),
            pytest.param(1, 100, 0.002, 0.054, id="1 of 100 is 0.2 to 5.4 %"),
            pytest.param(0, 200, 0.0, 0.019, id="none of 200 is up to 1.9 %"),
            pytest.param(30, 30, 0.89, 1.0, id="all of 30 is from 89 %"),
        ],
    )
    def test_what_auditors_know(self, found: int, tested: int, low: float, high: float) -> None:
        assert wilson(found, tested) == pytest.approx((low, high), abs=0.004)

    @given(st.integers(1, 500), st.data())
    def test_the_share_is_inside(self, tested: int, data: st.DataObject) -> None:
        found = data.draw(st.integers(0, tested))
        low, high = wilson(found, tested)
        assert 0 <= low <= found / tested <= high <= 1

    @pytest.mark.parametrize(("found", "tested"), [(0, 0), (2, 1), (-1, 5)])
    def test_what_is_no_share_is_refused(self, found: int, tested: int) -> None:
        with pytest.raises(ValueError, match="at least one item"):
            wilson(found, tested)
