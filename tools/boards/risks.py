"""The board of risks to predictability: each with its figure, its limit, how it moved, and what can be done.

Of days past there is one point each (`valvomo metrics backfill`), so what moved is asked for as the last value of the
26 hours before: a Helsinki day has 25 at most.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from grafana_foundation_sdk.builders import common as look
from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import common as shapes

from services.cost_alerts.domain.risks.assess import EUROPE
from services.cost_alerts.domain.risks.risk import LIMITS, WHAT_TO_DO, Limit, RiskName
from tools.boards.parts import (
    GOOD,
    HALF,
    NEAR,
    OVER,
    PLAIN,
    SIXTH,
    THIRD,
    Panel,
    Steps,
    bars,
    board,
    figure,
    lines,
    source_variable,
    thresholds,
    words,
)

DAY_SECONDS = 86_400
ROW_HEIGHT = 7


def last(metric: str) -> str:
    """A metric's last value within a day, also where only one point of a day is known."""
    return f"last_over_time({metric}[26h])"


def by(labels: str, metric: str) -> str:
    """The metric once, whichever processes tell it."""
    return f"max by ({labels}) ({last(metric)})" if labels else f"max({last(metric)})"


@dataclass(frozen=True, slots=True)
class Shown:
    """How a risk is shown.

    `worst`: its figure now, on the scale of its limit (days as seconds); `moved`: (query, legend) of how it moved, in
    `unit`; `is_figure`: whether that is the figure itself, so that its limit is drawn as a line; `what`: in a sentence.
    """

    name: RiskName
    title: str
    what: str
    worst: str
    moved: Sequence[tuple[str, str]]
    unit: str = "percentunit"
    is_figure: bool = True
    stacked: bool = False


TENTH = by("vendor", 'valvomo_price_change_exposure_eur{kind="ten_percent"}')
ANNOUNCED = by("vendor", 'valvomo_price_change_exposure_eur{kind="announced"}')
MODELS = by("model", 'valvomo_price_model_ratio{of="euro"}')
LAWS = by("jurisdiction", 'valvomo_jurisdiction_ratio{of="euro"}')
FOREIGN = 'valvomo_jurisdiction_ratio{of="euro", jurisdiction!~"' + "|".join(sorted(EUROPE)) + '"}'
REGIONS = by("region", 'valvomo_processing_region_ratio{of="euro"}')
NOWHERE = by("", 'valvomo_processing_region_ratio{of="euro", region="unknown"}')
LEFT, SIZE = (by("system, pool", f"valvomo_pool_credits_{what}") for what in ("remaining", "size"))
FX = by("currency", "valvomo_fx_exposure_eur")
YEAR = by("", "valvomo_cost_year_ahead_eur")
COST = f"sum({by('unit, system', 'valvomo_cost_month_to_date_eur')})"
ACTIVE, PURCHASED = (by("system", f'valvomo_seats{{state="{state}"}}') for state in ("active", "purchased"))
CYCLE_END = by("system, pool", "valvomo_pool_cycle_end_timestamp_seconds")
DRY = 'valvomo_pool_exhaustion_timestamp_seconds{limit="mid"}'
DEADLINE = by("contract, kind", "valvomo_contract_deadline_timestamp_seconds")
ERROR, COVERAGE = (by("day_of_month", f'valvomo_forecast_{what}_ratio{{unit=""}}') for what in ("error", "coverage"))
TESTED_ERROR, TESTED_COVERAGE = (
    by("", f'valvomo_forecast_{what}_ratio{{unit="", day_of_month="all"}}') for what in ("error", "coverage")
)
OF_YEAR = f"/ on () group_left () (10 * sum({TENTH}))"

PRICES = [
    Shown("variable_share", "Variable share", "Share of the last 28 days' cost that use alone decides.",
          by("", "valvomo_variable_cost_ratio"), [(by("", "valvomo_variable_cost_ratio"), "variable")]),
    Shown("announced_prices", "Announced prices", "What published and planned prices add to a year, beside its cost.",
          f"max({ANNOUNCED} {OF_YEAR})", [(ANNOUNCED, "{{vendor}}")], "currencyEUR", is_figure=False, stacked=True),
    Shown("ten_percent_rise", "Ten per cent dearer", "What ten per cent on one vendor's prices would add to a year.",
          f"max({TENTH} {OF_YEAR})", [(TENTH, "{{vendor}}")], "currencyEUR", is_figure=False, stacked=True),
    Shown("fx_exposure", "Other currencies", "What a currency that gets ten per cent dearer would add to a year.",
          f"max(0.1 * {FX} / on () group_left () {YEAR})",
          [(f"0.1 * {FX} / on () group_left () {YEAR}", "{{currency}}")]),
]  # fmt: skip
VENDORS = [
    Shown("vendor_concentration", "Vendor concentration", "Sum of the vendors' squared shares of 365 days.",
          by("", "valvomo_vendor_concentration_hhi"),
          [(by("", "valvomo_vendor_concentration_hhi"), "concentration")], "short"),
    Shown("model_dependence", "Dependence on one model", "The dearest model's share of all cost by the token.",
          f"max({by('vendor', 'valvomo_model_dependence_ratio')})",
          [(by("vendor", "valvomo_model_dependence_ratio"), "{{vendor}}")]),
    Shown("price_model", "Price models", "Share of each way of pricing in the euro of 365 days.",
          f"max({MODELS})", [(MODELS, "{{model}}")], is_figure=False, stacked=True),
    Shown("contract_end", "Contracts", "Time until the next contract ends, or until its notice must be given.",
          f"min(({DEADLINE} - time()) > 0)", [(f"({DEADLINE} - time()) > 0", "{{contract}} {{kind}}")], "s"),
]  # fmt: skip
BOUGHT = [
    Shown("pool_exhaustion", "Prepaid pools", "How long the pool will be dry before its cycle ends, as expected.",
          f"max({CYCLE_END} - {by('system, pool', DRY)})",
          [(f"{LEFT} / {SIZE}", "{{pool}} left")], is_figure=False),
    Shown("idle_seats", "Idle seats", "Share of a system's seats that nobody used within 28 days.",
          f"max(1 - {ACTIVE} / {PURCHASED})", [(f"1 - {ACTIVE} / {PURCHASED}", "{{system}}")]),
]  # fmt: skip
WHERE = [
    Shown("jurisdiction", "Law that binds vendors", "Largest share of euro under one law outside Europe.",
          f"max({by('jurisdiction', FOREIGN)}) or 0 * max({LAWS})",
          [(LAWS, "{{jurisdiction}}")], is_figure=False, stacked=True),
    Shown("region_unknown", "Unknown place of processing", "Share of euro of which nobody knows where it is processed.",
          f"{NOWHERE} or 0 * max({REGIONS})",
          [(REGIONS, "{{region}}")], is_figure=False, stacked=True),
]  # fmt: skip
WHOLE_FIGURES = [
    Shown("unpriced", "Unpriced use", "Largest share of a system's readings that no tariff prices.",
          f"max({by('system', 'valvomo_unpriced_ratio')})",
          [(by("system", "valvomo_unpriced_ratio"), "{{system}}")]),
    Shown("unallocated", "Cost without a unit", "Share of this month's cost that no unit owns.",
          f"sum({by('system', 'valvomo_unallocated_eur')}) / {COST}",
          [(f"sum({by('system', 'valvomo_unallocated_eur')}) / {COST}", "unallocated")]),
    Shown("restated", "Cost told again", "Share of this month's cost that corrections changed afterwards.",
          f"sum({by('unit', 'valvomo_restated_eur')}) / {COST}",
          [(f"sum({by('unit', 'valvomo_restated_eur')}) / {COST}", "restated")]),
    Shown("data_age", "Age of data", "Age of the newest complete period of the source that is furthest behind.",
          "max(min by (source) (valvomo_source_data_age_seconds))",
          [("min by (source) (last_over_time(valvomo_source_data_age_seconds[26h]))", "{{source}}")], "s"),
]  # fmt: skip
FORECAST = [
    Shown("forecast_error", "Error of the forecast", "Back-test: mean error of the city's month, by day of the month.",
          TESTED_ERROR, [(ERROR, "on day {{day_of_month}}")]),
    Shown("forecast_coverage", "Coverage of its limits", "Back-test: share of months between limits made for 80 %.",
          TESTED_COVERAGE, [(COVERAGE, "on day {{day_of_month}}")]),
]  # fmt: skip
ROWS = (
    ("Prices", PRICES), ("Vendors, models, contracts", VENDORS), ("What was bought ahead", BOUGHT),
    ("Where it is processed, under whose law", WHERE), ("Whether the figures are whole", WHOLE_FIGURES),
    ("Whether the forecast can be trusted", FORECAST),
)  # fmt: skip


def cost_predictability_risks() -> dashboard.Dashboard:
    """A row per theme; in it a line per risk: its figure, how it moved, what can be done."""
    made = board(
        "Cost predictability risks",
        "valvomo-cost-risks",
        "What could make the cost of AI another one than expected: each risk, its limit, and what can be done.",
        "now-120d",
    ).with_variable(source_variable())
    for title, panels in (("At a glance", _glance()), *((title, _risks(shown)) for title, shown in ROWS)):
        made.with_row(dashboard.Row(title))
        for panel in panels:
            made.with_panel(panel)
    return made


def _glance() -> Sequence[Panel]:
    return [
        _count("Over their limit", "Risks beyond their limit now.", "over", OVER),
        _count("Near their limit", "Risks that are close to it.", "near", NEAR),
        _count("Not known", "Risks about which there is not enough data to say anything.", "unknown", PLAIN),
        figure("Figures read", "How long ago the risks were read from the ledger.", "s",
               "time() - max(valvomo_risks_timestamp_seconds)", [(None, GOOD), (3600, OVER)]),
        bars("Which ones", "Each risk that is near or over its limit, and about how many things.", "short",
             'max by (risk, state) (valvomo_risks{state=~"near|over"}) > 0',
             "{{risk}}: {{state}}", steps=[(None, NEAR)], width=THIRD),
        lines("Idle seats in three figures", "Exposed until the contract ends; of that for people who wait; saved in "
              "the year after by a smaller order. They overlap: never add them.", "currencyEUR",
              [(by("part", "valvomo_idle_seat_exposure_eur"), "{{part}}")]),
        lines("Vendors", "Shares of the cost of 365 days.", "percentunit",
              [(by("vendor", "valvomo_vendor_cost_ratio"), "{{vendor}}")], stacked=True),
        lines("Use by price model", "Shares of the billing readings of 365 days; seats and capacity are not metered.",
              "percentunit", [(by("model", 'valvomo_price_model_ratio{of="use"}'), "{{model}}")], stacked=True,
              width=THIRD),
        lines("Use by law", "Shares of the billing readings, by the country that binds the vendor.", "percentunit",
              [(by("jurisdiction", 'valvomo_jurisdiction_ratio{of="use"}'), "{{jurisdiction}}")], stacked=True,
              width=THIRD),
        lines("Use by region", "Shares of the billing readings, by where they were processed.", "percentunit",
              [(by("region", 'valvomo_processing_region_ratio{of="use"}'), "{{region}}")], stacked=True, width=THIRD),
        bars("Pools run dry in", "At the earliest, as expected, at the latest; a pool that lasts is not shown.", "s",
             "max by (pool, limit) (valvomo_pool_exhaustion_timestamp_seconds) - time()", "{{pool}} {{limit}}",
             steps=[(None, OVER), (7 * DAY_SECONDS, NEAR)]),
        bars("Use beyond pools", "What it will still cost until the cycle ends, with its limits.", "currencyEUR",
             "max by (pool, limit) (valvomo_pool_overage_eur)", "{{pool}} {{limit}}", steps=[(None, NEAR)]),
    ]  # fmt: skip


def _count(title: str, description: str, state: str, colour: str) -> Panel:
    expression = f'sum(max by (risk) (valvomo_risks{{state="{state}"}}))'
    return figure(title, description, "short", expression, [(None, GOOD), (1, colour)])


def _risks(shown: Sequence[Shown]) -> Iterator[Panel]:
    for one in shown:
        limit = LIMITS[one.name]
        yield figure(one.title, one.what, _unit(limit), one.worst, _steps(limit), height=ROW_HEIGHT, width=SIXTH)
        yield _moved(one, limit)
        yield words(f"{one.title}: what can be done", _advice(one.name, limit), width=THIRD, height=ROW_HEIGHT)


def _moved(one: Shown, limit: Limit) -> Panel:
    title, what = f"{one.title} over the months", f"How it moved, a point a day. {one.what}"
    panel = lines(title, what, one.unit, one.moved, stacked=one.stacked, width=HALF).height(ROW_HEIGHT)
    panel.interval("1h").span_nulls(DAY_SECONDS * 1000 * 2)
    if one.is_figure:
        panel.thresholds(thresholds(_steps(limit)))
        panel.thresholds_style(look.GraphThresholdsStyleConfig().mode(shapes.GraphThresholdsStyleMode.DASHED))
    return panel


def _unit(limit: Limit) -> str:
    return {"ratio": "percentunit", "index": "short", "days": "s"}[limit.measure]


def _steps(limit: Limit) -> Steps:
    """Colours from the lowest figure up."""
    scale = DAY_SECONDS if limit.measure == "days" else 1
    near, over = float(limit.near) * scale, float(limit.over) * scale
    return [(None, OVER), (over, NEAR), (near, GOOD)] if limit.falling else [(None, GOOD), (near, NEAR), (over, OVER)]


def _advice(name: RiskName, limit: Limit) -> str:
    side = "below" if limit.falling else "above"
    edges = [_number(limit, edge) for edge in (limit.near, limit.over)]
    return f"Near its limit {side} **{edges[0]}**, beyond it {side} **{edges[1]}**.\n\n{WHAT_TO_DO[name]}"


def _number(limit: Limit, edge: Fraction) -> str:
    value = float(edge)
    return {"ratio": f"{value:.0%}", "index": f"{value:.2f}", "days": f"{value:.0f} days"}[limit.measure]
