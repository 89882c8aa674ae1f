"""The Grafana dashboards: `python -m tools.dashboards [--check]` writes `dashboards/*.json`.

Gauges of a ledger are told alike by every process that shares its database, so each query takes `max by (…)` over
processes before it adds anything up.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from grafana_foundation_sdk.builders import bargauge, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import common as look
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from tools.generated import run

FOLDER = Path(__file__).parent.parent / "dashboards"
SOURCE = model.DataSourceRef(type_val="prometheus", uid="$datasource")
HEIGHT = 8
LOW = 4
WHOLE, HALF, THIRD, SIXTH = 24, 12, 8, 4

UNIT, SYSTEM = 'unit=~"$unit"', 'system=~"$system"'
BOTH = f"{UNIT}, {SYSTEM}"
COST = f"max by (unit, system) (valvomo_cost_month_to_date_eur{{{BOTH}}})"
PACE = f"max by (unit) (valvomo_run_rate_month_end_eur{{{UNIT}}})"
BUDGET = f"max by (budget, unit) (valvomo_budget_eur{{{UNIT}}})"
USED = f"max by (budget, unit) (valvomo_budget_used_ratio{{{UNIT}}})"
UNALLOCATED = f"max by (system) (valvomo_unallocated_eur{{{SYSTEM}}})"
UNPRICED = f"max by (system) (valvomo_unpriced_readings{{{SYSTEM}}})"
SEATS = f"max by (system, state) (valvomo_seats{{{SYSTEM}}})"
FINDINGS = f"max by (unit, kind) (valvomo_findings_open{{{UNIT}}})"
OUTPUTS = f"max by (system, state) (valvomo_outputs{{{SYSTEM}}})"

GOOD, NEAR, OVER, PLAIN = "green", "orange", "red", "blue"
P = TypeVar("P", stat.Panel, timeseries.Panel, bargauge.Panel, table.Panel)


def files() -> Mapping[Path, str]:
    """Path → text of every dashboard."""
    made = json.loads(JSONEncoder(sort_keys=True).encode(cost_and_oversight().build()))
    return {FOLDER / "valvomo.json": json.dumps(made, indent=2, sort_keys=True, ensure_ascii=False) + "\n"}


def obsolete() -> Sequence[Path]:
    """Dashboards that this code does not make."""
    return sorted(set(FOLDER.glob("*.json")) - set(files()))


def cost_and_oversight() -> dashboard.Dashboard:
    """One page from money to operation, top to bottom in the order of who asks."""
    made = (
        dashboard.Dashboard("Valvomo: cost and oversight")
        .uid("valvomo-cost-oversight")
        .description("What AI costs, by unit and system; which outputs await a person; whether the figures are whole.")
        .tags(["valvomo", "ai", "cost"])
        .time("now-7d", "now")
        .timezone("Europe/Helsinki")
        .refresh("1m")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .readonly()
    )
    for variable in _variables():
        made.with_variable(variable)
    for title, panels in _rows():
        made.with_row(dashboard.Row(title))
        for panel in panels:
            made.with_panel(panel)
    return made


def _variables() -> Iterator[dashboard.DatasourceVariable | dashboard.QueryVariable]:
    yield dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
    yield _labels("unit", "Unit", "label_values(valvomo_cost_month_to_date_eur, unit)")
    yield _labels("system", "System", "label_values(valvomo_cost_month_to_date_eur, system)")


def _labels(name: str, label: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(query)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)  # noqa: FBT003  # the builder's own way
        .include_all(True)  # noqa: FBT003
        .all_value(".+")
    )


def _rows() -> Iterator[tuple[str, Sequence[stat.Panel | timeseries.Panel | bargauge.Panel | table.Panel]]]:
    yield "Money", _money()
    yield "Seats", _seats()
    yield "Oversight", _oversight()
    yield "Collection", _collection()
    yield "Operation", _operation()


def _money() -> Sequence[stat.Panel | timeseries.Panel | bargauge.Panel | table.Panel]:
    return [
        _figure("Cost this month", "Net, of the chosen units and systems; exact figures are in the report.",
                "currencyEUR", f"sum({COST})", [(None, PLAIN)]),
        _figure("At this pace by month end", "Cost so far, and the average completed day for each day left. Not a "
                "forecast; of units, whatever systems are chosen.", "currencyEUR", f"sum({PACE})", [(None, PLAIN)]),
        _figure("Highest share of a budget", "The budget that is closest to its end, or past it.",
                "percentunit", f"max({USED})", [(None, GOOD), (0.8, NEAR), (1, OVER)]),
        _figure("Unallocated this month", "Cost that no rule gives to a unit, so no budget counts it.",
                "currencyEUR", f"sum({UNALLOCATED})", [(None, GOOD), (1, NEAR)]),
        _figure("Unpriced readings", "Use without a price. Its cost is missing from every sum.",
                "short", f"sum({UNPRICED})", [(None, GOOD), (1, OVER)]),
        _figure("Open findings", "AI outputs that await a person.",
                "short", f"sum({FINDINGS}) or vector(0)", [(None, GOOD), (1, NEAR)]),
        _lines("Cost of the month by unit", "Rises from nought on the first day of each month.",
               "currencyEUR", [(f"sum by (unit) ({COST})", "{{unit}}")], stacked=True),
        _lines("Cost of the month by system", "The same money, by what it is spent on.",
               "currencyEUR", [(f"sum by (system) ({COST})", "{{system}}")], stacked=True),
        _bars("Budgets", "Used share of each budget of this year; marks at 80 % and 100 %.",
              "percentunit", USED, "{{budget}}", steps=[(None, GOOD), (0.8, NEAR), (1, OVER)]),
        _budget_table(),
        _lines("Restated this month", "How much corrections have changed this month's cost after the fact, by unit.",
               "currencyEUR", [(f"max by (unit) (valvomo_restated_eur{{{UNIT}}})", "{{unit}}")]),
        _lines("Unpriced share of readings", "By system, of all billing readings so far.",
               "percentunit", [(f"max by (system) (valvomo_unpriced_ratio{{{SYSTEM}}})", "{{system}}")]),
        _bars("Age of exchange rates", "Since the newest rate was published, of currencies that charges came in. Over "
              "12 days nobody knows what they cost in euro.", "s", "max by (currency) (valvomo_fx_age_seconds)",
              "{{currency}}", steps=[(None, GOOD), (4 * 86_400, NEAR), (12 * 86_400, OVER)]),
        _figure("Restatement", "How much of the present one is done; all of it when none is under way.",
                "percentunit", "min(valvomo_restatement_progress_ratio)", [(None, NEAR), (1, GOOD)], height=HEIGHT),
    ]  # fmt: skip


def _seats() -> Sequence[stat.Panel | timeseries.Panel | bargauge.Panel | table.Panel]:
    return [
        _lines("Seats", "Bought, given to somebody, and used within 28 days.",
               "short", [(SEATS, "{{system}} {{state}}")]),
        _lines("Cost of idle seats", "What this month's seats cost that nobody uses.", "currencyEUR",
               [(f"max by (system) (valvomo_idle_seat_cost_eur{{{SYSTEM}}})", "{{system}}")]),
    ]  # fmt: skip


def _oversight() -> Sequence[stat.Panel | timeseries.Panel | bargauge.Panel | table.Panel]:
    return [
        _lines("Open findings by kind", "Overdue reviews, use without review, use in spite of a rejection.",
               "short", [(f"sum by (kind) ({FINDINGS})", "{{kind}}")], stacked=True),
        _bars("Open findings by unit", "Whose outputs await a person.",
              "short", f"sum by (unit) ({FINDINGS})", "{{unit}}", steps=[(None, NEAR)]),
        _lines("AI outputs by review state", "Every output that was told of, by where it stands.",
               "short", [(f"sum by (state) ({OUTPUTS})", "{{state}}")], stacked=True),
        _lines("Reviewed in time", "Reviewed outputs among those whose review was required and due.", "percentunit",
               [(f"max by (system) (valvomo_review_ratio{{{SYSTEM}}})", "{{system}}")]),
        _lines("Audit log", "Entries. It only grows.", "short", [("max(valvomo_log_size)", "entries")], width=THIRD),
        _figure("Since the last checkpoint", "A log that grows is signed every minute; one that rests is not.",
                "s", "time() - max(valvomo_log_checkpoint_timestamp_seconds)", [(None, PLAIN)], width=THIRD,
                height=HEIGHT),
        _lines("Entries per minute", "What the log appends.", "short",
               [('sum by (topic) (rate(valvomo_events_total{group="audit-log"}[$__rate_interval])) * 60',
                 "{{topic}}")], width=THIRD),
    ]  # fmt: skip


def _collection() -> Sequence[stat.Panel | timeseries.Panel | bargauge.Panel | table.Panel]:
    return [
        _lines("Since the last successful poll", "By source. Over an hour means that several polls failed.", "s",
               [("time() - max by (source) (valvomo_source_last_success_timestamp_seconds)", "{{source}}")]),
        _lines("Age of the newest complete period", "How far behind the vendors' figures are.", "s",
               [("min by (source) (valvomo_source_data_age_seconds)", "{{source}}")]),
        _bars("Missing days", "Days between complete ones about which a source told nothing.",
              "short", "max by (source) (valvomo_collection_gap_days)", "{{source}}", steps=[(None, GOOD), (1, OVER)],
              width=THIRD),
        _lines("Failed polls", "Per hour, by source and kind of error.", "short",
               [("sum by (source, kind) (rate(valvomo_source_errors_total[$__rate_interval])) * 3600",
                 "{{source}} {{kind}}")], width=THIRD),
        _lines("Events sent to the intake", "Per second, accepted and refused.", "short",
               [("sum by (answer) (rate(valvomo_intake_events_total[$__rate_interval]))", "{{answer}}")], width=THIRD),
    ]  # fmt: skip


def _operation() -> Sequence[stat.Panel | timeseries.Panel | bargauge.Panel | table.Panel]:
    return [
        _lines("Consumer lag", "Records between each consumer and the end of its topic.", "short",
               [("max by (group, topic) (valvomo_consumer_lag)", "{{group}} {{topic}}")]),
        _lines("Records handled", "Per second and consumer, committed.", "short",
               [("sum by (group) (rate(valvomo_events_total[$__rate_interval]))", "{{group}}")]),
        _figure("Stopped consumers", "Each needs a person; the runbook says what to do.",
                "short", "sum(max by (group) (valvomo_consumer_stopped))", [(None, GOOD), (1, OVER)], width=SIXTH),
        _figure("Set aside in a day", "Records that no retry can help; they can be replayed for 30 days.",
                "short", "sum(increase(valvomo_dead_letters_total[24h]))", [(None, GOOD), (1, OVER)], width=SIXTH),
        _figure("Alerts not delivered", "Messages that were tried for about a day and given up.", "short",
                "sum(max by (service, destination) (valvomo_outbox_given_up))", [(None, GOOD), (1, OVER)], width=SIXTH),
        _figure("Messages that wait", "Mails and webhooks on their way.", "short",
                'sum(max by (service, destination) (valvomo_outbox_pending{destination!="bus"}))',
                [(None, GOOD), (1, NEAR)], width=SIXTH),
        _figure("Readings to reprice", "They still carry the price of an older register version.", "short",
                "max(valvomo_restatement_pending_readings)", [(None, GOOD), (1, NEAR)], width=SIXTH),
        _figure("Unreadable metrics", "Scrapes within an hour for which a store did not answer.", "short",
                "sum(increase(valvomo_scrape_errors_total[1h]))", [(None, GOOD), (1, NEAR)], width=SIXTH),
    ]  # fmt: skip


Steps = Sequence[tuple[float | None, str]]
"""(from this value on, colour), rising; None: from the lowest."""


def _figure(
    title: str, description: str, unit: str, expression: str, steps: Steps, *, width: int = SIXTH, height: int = LOW
) -> stat.Panel:
    panel = stat.Panel().reduce_options(look.ReduceDataOptions().calcs(["lastNotNull"]))
    panel.color_mode(shapes.BigValueColorMode.VALUE).graph_mode(shapes.BigValueGraphMode.AREA)
    panel.no_value("–").thresholds(_thresholds(steps))
    return _framed(panel, title, description, unit, width, height).with_target(_query(expression))


def _lines(
    title: str, description: str, unit: str, queries: Sequence[tuple[str, str]], *, stacked: bool = False,
    width: int = HALF,
) -> timeseries.Panel:  # fmt: skip
    panel = timeseries.Panel().min(0).fill_opacity(25 if stacked else 8).line_width(1)
    panel.legend(_legend()).tooltip(look.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI))
    if stacked:
        panel.stacking(look.StackingConfig().mode(shapes.StackingMode.NORMAL))
    _framed(panel, title, description, unit, width, HEIGHT)
    for number, (expression, legend) in enumerate(queries):
        panel.with_target(_query(expression, legend, chr(ord("A") + number)))
    return panel


def _legend() -> look.VizLegendOptions:
    shown = look.VizLegendOptions().display_mode(shapes.LegendDisplayMode.TABLE).calcs(["lastNotNull"])
    return shown.placement(shapes.LegendPlacement.RIGHT).show_legend(True)  # noqa: FBT003


def _bars(
    title: str, description: str, unit: str, expression: str, legend: str, *, steps: Steps, width: int = HALF
) -> bargauge.Panel:  # fmt: skip
    panel = bargauge.Panel().min(0).orientation(shapes.VizOrientation.HORIZONTAL).thresholds(_thresholds(steps))
    panel.display_mode(shapes.BarGaugeDisplayMode.BASIC).value_mode(shapes.BarGaugeValueMode.TEXT)
    panel.reduce_options(look.ReduceDataOptions().calcs(["lastNotNull"])).no_value("–")
    return _framed(panel, title, description, unit, width, HEIGHT).with_target(_query(expression, legend).instant())


def _budget_table() -> table.Panel:
    panel = _framed(table.Panel(), "Budgets in figures", "Amount and used share, the fullest first.",
                    "currencyEUR", HALF, HEIGHT)  # fmt: skip
    for name, expression in (("A", BUDGET), ("B", USED)):
        panel.with_target(_query(expression, ref=name).instant().format(PromQueryFormat.TABLE))
    panel.with_transformation(_transformation("merge", {}))
    names = {"Value #A": "Amount", "Value #B": "Used", "budget": "Budget", "unit": "Unit"}
    order = {"unit": 0, "budget": 1, "Value #A": 2, "Value #B": 3}
    panel.with_transformation(
        _transformation(
            "organize", {"excludeByName": {"Time": True}, "renameByName": names, "indexByName": order}
        )
    )  # fmt: skip
    used = [model.DynamicConfigValue(id_val="unit", value="percentunit")]
    panel.override_by_name("Used", used)
    return panel.sort_by([look.TableSortByFieldState().display_name("Used").desc(True)])  # noqa: FBT003


def _transformation(name: str, options: dict[str, Any]) -> model.DataTransformerConfig:
    return model.DataTransformerConfig(id_val=name, options=options)


def _framed(panel: P, title: str, description: str, unit: str, width: int, height: int) -> P:  # noqa: PLR0917
    panel.title(title).description(description).unit(unit).datasource(SOURCE).span(width).height(height)
    return panel


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    made = [model.Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(made)


def _query(expression: str, legend: str = "", ref: str = "A") -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(ref).datasource(SOURCE)


if __name__ == "__main__":
    sys.exit(run(files(), obsolete(), check="--check" in sys.argv[1:]))
