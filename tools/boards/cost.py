"""The board of cost and oversight: one page from money to operation."""

from collections.abc import Iterator, Sequence

from grafana_foundation_sdk.builders import common as look
from grafana_foundation_sdk.builders import dashboard, table
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from tools.boards.parts import (
    GOOD,
    HALF,
    HEIGHT,
    NEAR,
    OVER,
    PLAIN,
    SIXTH,
    THIRD,
    Panel,
    bars,
    board,
    figure,
    framed,
    labels,
    lines,
    query,
    source_variable,
    transformation,
)

UNIT, SYSTEM = 'unit=~"$unit"', 'system=~"$system"'
BOTH = f"{UNIT}, {SYSTEM}"
COST = f"max by (unit, system) (valvomo_cost_month_to_date_eur{{{BOTH}}})"
PACE = f"max by (unit) (valvomo_run_rate_month_end_eur{{{UNIT}}})"
BUDGET = f"max by (budget, unit) (valvomo_budget_eur{{{UNIT}}})"
USED = f"max by (budget, unit) (valvomo_budget_used_ratio{{{UNIT}}})"
COMMITTED = f"max by (budget, unit) (valvomo_budget_committed_eur{{{UNIT}}})"
PLANNED = f"max by (budget, unit) (valvomo_budget_planned_to_date_eur{{{UNIT}}})"
FORECAST_OF_BUDGET = f'max by (budget, unit) (valvomo_budget_forecast_ratio{{{UNIT}, limit="mid"}})'
MONTH_AHEAD, YEAR_AHEAD = "valvomo_forecast_month_end_eur", "valvomo_forecast_year_end_eur"
UNALLOCATED = f"max by (system) (valvomo_unallocated_eur{{{SYSTEM}}})"
UNPRICED = f"max by (system) (valvomo_unpriced_readings{{{SYSTEM}}})"
SEATS = f"max by (system, state) (valvomo_seats{{{SYSTEM}}})"
FINDINGS = f"max by (unit, kind) (valvomo_findings_open{{{UNIT}}})"
OUTPUTS = f"max by (system, state) (valvomo_outputs{{{SYSTEM}}})"


def cost_and_oversight() -> dashboard.Dashboard:
    """One page from money to operation, top to bottom in the order of who asks."""
    made = board(
        "Valvomo: cost and oversight",
        "valvomo-cost-oversight",
        "What AI costs, by unit and system; which outputs await a person; whether the figures are whole.",
        "now-7d",
    )
    for variable in _variables():
        made.with_variable(variable)
    for title, panels in _rows():
        made.with_row(dashboard.Row(title))
        for panel in panels:
            made.with_panel(panel)
    return made


def _rows() -> Iterator[tuple[str, Sequence[Panel]]]:
    yield "Money", _money()
    yield "Seats", _seats()
    yield "Oversight", _oversight()
    yield "Collection", _collection()
    yield "Operation", _operation()


def _money() -> Sequence[Panel]:
    return [
        figure("Cost this month", "Net, of the chosen units and systems; exact figures are in the report.",
                "currencyEUR", f"sum({COST})", [(None, PLAIN)]),
        figure("At this pace by month end", "Cost so far, and the average completed day for each day left. Not a "
                "forecast; of units, whatever systems are chosen.", "currencyEUR", f"sum({PACE})", [(None, PLAIN)]),
        figure("Forecast of this month", "The whole city's cost of this month, as forecast today; limits are beside.",
               "currencyEUR", f'max({MONTH_AHEAD}{{unit="", limit="mid"}})', [(None, PLAIN)]),
        figure("Highest share of a budget", "The budget that is closest to its end, or past it.",
                "percentunit", f"max({USED})", [(None, GOOD), (0.8, NEAR), (1, OVER)]),
        figure("Unallocated this month", "Cost that no rule gives to a unit, so no budget counts it.",
                "currencyEUR", f"sum({UNALLOCATED})", [(None, GOOD), (1, NEAR)]),
        figure("Unpriced readings", "Use without a price. Its cost is missing from every sum.",
                "short", f"sum({UNPRICED})", [(None, GOOD), (1, OVER)]),
        figure("Open findings", "AI outputs that await a person.",
                "short", f"sum({FINDINGS}) or vector(0)", [(None, GOOD), (1, NEAR)]),
        figure("Open alerts", "Conditions that were told and still hold; resolved ones are gone.", "short",
               "sum(max by (kind, severity) (valvomo_alerts_open)) or vector(0)", [(None, GOOD), (1, NEAR)]),
        figure("Not acknowledged", "Open alerts that nobody has taken up.", "short",
               "max(valvomo_alerts_unacknowledged) or vector(0)", [(None, GOOD), (1, NEAR)]),
        figure("Risks over their limit", "The board of predictability risks says which.", "short",
               'sum(max by (risk) (valvomo_risks{state="over"}))', [(None, GOOD), (1, NEAR)]),
        figure("Forecast of this year", "The whole city's cost of the calendar year, planned changes included.",
               "currencyEUR", f'max({YEAR_AHEAD}{{unit="", limit="mid"}})', [(None, PLAIN)]),
        figure("Newest forecast", "How old it is; one is made every day.", "s",
               "time() - max(valvomo_forecast_made_timestamp_seconds)", [(None, GOOD), (3 * 86_400, OVER)]),
        lines("Cost of the month by unit", "Rises from nought on the first day of each month.",
               "currencyEUR", [(f"sum by (unit) ({COST})", "{{unit}}")], stacked=True),
        lines("Cost of the month by system", "The same money, by what it is spent on.",
               "currencyEUR", [(f"sum by (system) ({COST})", "{{system}}")], stacked=True),
        bars("Budgets", "Used share of each budget of this year; marks at 80 % and 100 %.",
              "percentunit", USED, "{{budget}}", steps=[(None, GOOD), (0.8, NEAR), (1, OVER)]),
        _budget_table(),
        bars("Budgets as forecast", "Forecast of the year as a share of each budget; over 100 % it will not last.",
             "percentunit", FORECAST_OF_BUDGET, "{{budget}}", steps=[(None, GOOD), (0.9, NEAR), (1, OVER)]),
        lines("Forecast of this month by unit", "What each unit with its children will have cost at the month's end.",
              "currencyEUR", [(f'max by (unit) ({MONTH_AHEAD}{{{UNIT}, limit="mid"}})', "{{unit}}")]),
        lines("Forecast of this month and its limits", "The whole city. Four of five months should end between them.",
              "currencyEUR", [(f'max by (limit) ({MONTH_AHEAD}{{unit=""}})', "{{limit}}")]),
        lines("Forecast of this year and its limits", "The whole city, planned changes included.",
              "currencyEUR", [(f'max by (limit) ({YEAR_AHEAD}{{unit=""}})', "{{limit}}")]),
        lines("Restated this month", "How much corrections have changed this month's cost after the fact, by unit.",
               "currencyEUR", [(f"max by (unit) (valvomo_restated_eur{{{UNIT}}})", "{{unit}}")]),
        lines("Unpriced share of readings", "By system, of all billing readings so far.",
               "percentunit", [(f"max by (system) (valvomo_unpriced_ratio{{{SYSTEM}}})", "{{system}}")]),
        bars("Age of exchange rates", "Since the newest rate was published, of currencies that charges came in. Over "
              "12 days nobody knows what they cost in euro.", "s", "max by (currency) (valvomo_fx_age_seconds)",
              "{{currency}}", steps=[(None, GOOD), (4 * 86_400, NEAR), (12 * 86_400, OVER)]),
        figure("Restatement", "How much of the present one is done; all of it when none is under way.",
                "percentunit", "min(valvomo_restatement_progress_ratio)", [(None, NEAR), (1, GOOD)], height=HEIGHT),
    ]  # fmt: skip


def _seats() -> Sequence[Panel]:
    return [
        lines("Seats", "Bought, given to somebody, and used within 28 days.",
               "short", [(SEATS, "{{system}} {{state}}")]),
        lines("Cost of idle seats", "What this month's seats cost that nobody uses.", "currencyEUR",
               [(f"max by (system) (valvomo_idle_seat_cost_eur{{{SYSTEM}}})", "{{system}}")]),
    ]  # fmt: skip


def _oversight() -> Sequence[Panel]:
    return [
        lines("Open findings by kind", "Overdue reviews, use without review, use in spite of a rejection.",
               "short", [(f"sum by (kind) ({FINDINGS})", "{{kind}}")], stacked=True),
        bars("Open findings by unit", "Whose outputs await a person.",
              "short", f"sum by (unit) ({FINDINGS})", "{{unit}}", steps=[(None, NEAR)]),
        lines("AI outputs by review state", "Every output that was told of, by where it stands.",
               "short", [(f"sum by (state) ({OUTPUTS})", "{{state}}")], stacked=True),
        lines("Reviewed in time", "Reviewed outputs among those whose review was required and due.", "percentunit",
               [(f"max by (system) (valvomo_review_ratio{{{SYSTEM}}})", "{{system}}")]),
        lines("Audit log", "Entries. It only grows.", "short", [("max(valvomo_log_size)", "entries")], width=THIRD),
        figure("Since the last checkpoint", "A log that grows is signed every minute; one that rests is not.",
                "s", "time() - max(valvomo_log_checkpoint_timestamp_seconds)", [(None, PLAIN)], width=THIRD,
                height=HEIGHT),
        lines("Entries per minute", "What the log appends.", "short",
               [('sum by (topic) (rate(valvomo_events_total{group="audit-log"}[$__rate_interval])) * 60',
                 "{{topic}}")], width=THIRD),
        lines("Since an anchor last took a checkpoint", "What nobody outside remembers can be rewritten.", "s",
               [("time() - max by (anchor) (valvomo_log_anchor_timestamp_seconds)", "{{anchor}}")]),
        bars("Anchors in trouble", "1: it is away. 2: it knows another log than ours; somebody must look.", "short",
              "max by (anchor) (valvomo_log_anchor_problem)", "{{anchor}}",
              steps=[(None, GOOD), (1, NEAR), (2, OVER)], width=THIRD),
        figure("The program could rewrite the log", "1 where its own role on PostgreSQL could: valvomo store prepare.",
                "short", "max(valvomo_log_rewritable)", [(None, GOOD), (1, OVER)], height=HEIGHT),
    ]  # fmt: skip


def _collection() -> Sequence[Panel]:
    return [
        lines("Since the last successful poll", "By source. Over an hour means that several polls failed.", "s",
               [("time() - max by (source) (valvomo_source_last_success_timestamp_seconds)", "{{source}}")]),
        lines("Age of the newest complete period", "How far behind the vendors' figures are.", "s",
               [("min by (source) (valvomo_source_data_age_seconds)", "{{source}}")]),
        bars("Missing days", "Days between complete ones about which a source told nothing.",
              "short", "max by (source) (valvomo_collection_gap_days)", "{{source}}", steps=[(None, GOOD), (1, OVER)],
              width=THIRD),
        lines("Failed polls", "Per hour, by source and kind of error.", "short",
               [("sum by (source, kind) (rate(valvomo_source_errors_total[$__rate_interval])) * 3600",
                 "{{source}} {{kind}}")], width=THIRD),
        lines("Events sent to the intake", "Per second, accepted and refused.", "short",
               [("sum by (answer) (rate(valvomo_intake_events_total[$__rate_interval]))", "{{answer}}")], width=THIRD),
    ]  # fmt: skip


def _operation() -> Sequence[Panel]:
    return [
        lines("Consumer lag", "Records between each consumer and the end of its topic.", "short",
               [("max by (group, topic) (valvomo_consumer_lag)", "{{group}} {{topic}}")]),
        lines("Records handled", "Per second and consumer, committed.", "short",
               [("sum by (group) (rate(valvomo_events_total[$__rate_interval]))", "{{group}}")]),
        figure("Stopped consumers", "Each needs a person; the runbook says what to do.",
                "short", "sum(max by (group) (valvomo_consumer_stopped))", [(None, GOOD), (1, OVER)], width=SIXTH),
        figure("Set aside in a day", "Records that no retry can help; they can be replayed for 30 days.",
                "short", "sum(increase(valvomo_dead_letters_total[24h]))", [(None, GOOD), (1, OVER)], width=SIXTH),
        figure("Alerts not delivered", "Messages that were tried for about a day and given up.", "short",
                "sum(max by (service, destination) (valvomo_outbox_given_up))", [(None, GOOD), (1, OVER)], width=SIXTH),
        figure("Messages that wait", "Mails and webhooks on their way.", "short",
                'sum(max by (service, destination) (valvomo_outbox_pending{destination!="bus"}))',
                [(None, GOOD), (1, NEAR)], width=SIXTH),
        figure("Readings to reprice", "They still carry the price of an older register version.", "short",
                "max(valvomo_restatement_pending_readings)", [(None, GOOD), (1, NEAR)], width=SIXTH),
        figure("Unreadable metrics", "Scrapes within an hour for which a store did not answer.", "short",
                "sum(increase(valvomo_scrape_errors_total[1h]))", [(None, GOOD), (1, NEAR)], width=SIXTH),
    ]  # fmt: skip


def _budget_table() -> table.Panel:
    about = "Amount, plan until today, committed by contracts; shares used and forecast; the fullest first."
    panel = framed(table.Panel(), "Budgets in figures", about, "currencyEUR", HALF, HEIGHT)
    for name, expression in (
        ("A", BUDGET), ("B", USED), ("C", PLANNED), ("D", COMMITTED), ("E", FORECAST_OF_BUDGET),
    ):  # fmt: skip
        panel.with_target(query(expression, ref=name).instant().format(PromQueryFormat.TABLE))
    panel.with_transformation(transformation("merge", {}))
    names = {
        "Value #A": "Amount",
        "Value #B": "Used",
        "Value #C": "Planned by today",
        "Value #D": "Committed",
        "Value #E": "Forecast",
        "budget": "Budget",
        "unit": "Unit",
    }
    order = {"unit": 0, "budget": 1, "Value #A": 2, "Value #C": 3, "Value #D": 4, "Value #B": 5, "Value #E": 6}
    panel.with_transformation(
        transformation(
            "organize", {"excludeByName": {"Time": True}, "renameByName": names, "indexByName": order}
        )
    )  # fmt: skip
    used = [model.DynamicConfigValue(id_val="unit", value="percentunit")]
    panel.override_by_name("Used", used)
    panel.override_by_name("Forecast", used)
    return panel.sort_by([look.TableSortByFieldState().display_name("Used").desc(True)])  # noqa: FBT003


def _variables() -> Iterator[dashboard.DatasourceVariable | dashboard.QueryVariable]:
    yield source_variable()
    yield labels("unit", "Unit", "label_values(valvomo_cost_month_to_date_eur, unit)")
    yield labels("system", "System", "label_values(valvomo_cost_month_to_date_eur, system)")
