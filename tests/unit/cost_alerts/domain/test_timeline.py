"""What is kept ready for many readings must not depend on what its key leaves out."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from services.cost_alerts.domain.covering import lines
from services.cost_alerts.domain.timeline import Stretch, likeness, timeline
from services.cost_alerts.domain.use import Use, request_sizes
from services.shared.events import register as facts
from services.shared.events.envelope import Fact
from services.shared.periods import helsinki_day
from tests.unit.cost_alerts.domain.city import book, contract, pool, profile, tariff, usd, use

REPORTED = facts.System(id="claude", vendor="v", name="Claude", owner="ict", price_from="reported")
MONEY = {"measure": "cost", "meter": None, "burns": "USD"}
CLIFF = [{"up_to": "100", "price": "1"}, {"up_to": "300", "price": "5"}, {"price": "2"}]

FACTS = st.sampled_from(
    [
        tariff("3.00"),
        tariff("3.00", valid_to=date(2026, 10, 10)),
        tariff("5.00", id="later", valid_from=date(2026, 10, 10)),
        tariff("2.00", id="usd", sku="*", currency="USD"),
        tariff("2.00", id="card", sku="*", meter="output_tokens", currency=None, credit="flex"),
        tariff("0.01", id="flex", sku="flex", meter="credits", per="1", time_zone="Europe/Helsinki"),
        tariff(None, id="cliff", model="by_request_size", tiers=CLIFF, valid_from=date(2026, 10, 6)),
        tariff(None, id="out", meter="output_tokens", model="by_request_size", tiers=CLIFF[1:]),
        tariff(None, id="tiers", sku="*", meter="output_tokens", model="graduated", tiers=CLIFF),
        contract(discounts=[{"off": "0.1"}], vat_rate="0.24", valid_to=date(2026, 10, 9)),
        contract(id="d", discounts=[{"off": "0.2"}], vat_rate="0.255", time_zone="Asia/Tokyo", valid_from="2026-10-09"),
        contract(id="e", terms=[pool(), pool(id="q", **MONEY)], valid_from=date(2026, 10, 11)),
        usd(date(2026, 10, 7), "1.1"),
        usd(date(2026, 10, 8), "1.2"),
        usd(date(2026, 10, 12), "1.3"),
        REPORTED,
        facts.Placement(person="p-1x", unit="kymp", valid_from=date(2026, 10, 5), valid_to=date(2026, 10, 12)),
        facts.Unit(id="kymp", name={"en": "K"}, cost_centre="301", valid_from=date(2026, 10, 8)),
        facts.AllocationRule(
            id="r", order=1, match=facts.Match(system="claude"), unit="sote", project="P", valid_from=date(2026, 10, 8)
        ),
    ]
)
VERSIONS = st.lists(st.lists(FACTS, max_size=8, unique_by=repr), min_size=1, max_size=5)
METERS = ("input_tokens", "output_tokens")


@given(versions=VERSIONS, day=st.integers(1, 28))
def test_a_version_that_touches_nothing_changes_nothing(versions: list[list[Fact]], day: int) -> None:
    """The shortcut by scopes finds every version that a comparison of all versions finds."""
    made = book(*versions)
    used = use(datetime(2026, 10, day, 12, tzinfo=UTC), "EUR", person="p-1x", meters=METERS)
    every = [[line.effect for line in lines(made.view(number), used)] for number in range(len(versions) + 1)]
    changed = [0] + [number for number in range(1, len(every)) if every[number] != every[number - 1]]
    assert [stretch.version for stretch in timeline(made, used, 0)] == changed


readings = st.tuples(
    st.integers(0, 28 * 24),
    st.sampled_from([None, "p-1x", "p-2x"]),
    st.sampled_from(["sonnet", "opus"]),
    st.lists(st.sampled_from(["1", "100", "100.5", "300", "301"]), min_size=2, max_size=2),
)


def _told(stretches: tuple[Stretch, ...]) -> list[tuple[object, ...]]:
    return [(one.version, one.since, [pricer.line for pricer in one.pricers]) for one in stretches]


@given(versions=VERSIONS, found=st.lists(readings, min_size=2, max_size=12))
def test_what_one_key_stands_for_is_charged_alike(
    versions: list[list[Fact]], found: list[tuple[int, str | None, str, list[str]]]
) -> None:
    """Uses of one kind, day, segment and size bracket have one timeline, to the last member of a line."""
    made = book(*versions)
    by_kind: dict[object, list[object]] = defaultdict(list)
    for hour, person, sku, quantities in found:
        start = datetime(2026, 10, 1, tzinfo=UTC) + timedelta(hours=hour)
        used = made.use(profile(person=person, sku=sku, meters=METERS), start, list(map(Decimal, quantities)), "USD")
        kind = (likeness(made, used, 0), used.day, made.segment(start), used.sizes)
        by_kind[kind].append(_told(timeline(made, used, 0)))
    assert all(one == told[0] for told in by_kind.values() for one in told)


@given(versions=VERSIONS, quantities=st.lists(st.decimals(0, 400, places=2, allow_nan=False), min_size=2, max_size=2))
def test_a_bracket_prices_like_the_exact_size(versions: list[list[Fact]], quantities: list[Decimal]) -> None:
    made = book(*versions)
    start = datetime(2026, 10, 14, 12, tzinfo=UTC)
    who = profile(meters=METERS)
    exact = Use(who, start, helsinki_day(start), sizes=request_sizes(METERS, quantities))
    for number in range(len(versions) + 1):
        assert lines(made.view(number), made.use(who, start, quantities)) == lines(made.view(number), exact)
