"""The governance board: what people have not looked at, how much is reviewed, and which clocks of the law run."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import dashboard

from services.audit_log.adapters.reviews.findings import AGES
from tools.boards.parts import (
    GOOD,
    HALF,
    NEAR,
    OVER,
    PLAIN,
    THIRD,
    Panel,
    Steps,
    bars,
    board,
    figure,
    labels,
    lines,
    source_variable,
    words,
)

DAY_SECONDS = 86_400
OLD: Steps = [(None, GOOD), (7 * DAY_SECONDS, NEAR), (AGES[-1].total_seconds(), OVER)]
UNIT = 'unit=~"$unit"'
FINDINGS = f"max by (unit, kind) (valvomo_findings_open{{{UNIT}}})"
CANNOT_WAIT = (
    f'max by (unit, kind) (valvomo_findings_open{{{UNIT}, kind=~"prohibited_use|used_rejected|use_while_suspended|'
    'incident_late"})'
)
OF_USE = 'kind=~"used_unreviewed|used_rejected|prohibited_use|use_while_suspended|use_of_unlogged_output"'
WAITING = f"max by (unit, risk_class) (valvomo_reviews_waiting{{{UNIT}}})"
DUE = f"max by (unit) (valvomo_review_oldest_due_seconds{{{UNIT}}})"
RATIO = f"min by (use_case, unit) (valvomo_use_case_review_ratio{{{UNIT}}})"
INCIDENT = "min by (kind, whom) (valvomo_incident_due_timestamp_seconds) - time()"
_HOW_TO_READ = (
    "A finding is opened once and closed by another entry of the log; the page **/findings** says of each kind what it "
    "means and what to do.\n\nShares are of outputs whose review was *due*. Of few outputs a low share may be chance: "
    "the page shows each with its interval.\n\nNothing here is about a person. How teams review stands in the report "
    "of the quarter (**/governance/report**), for auditors."
)


def governance() -> dashboard.Dashboard:
    """Rows: at a glance; findings; reviews; incidents and the register."""
    made = (
        board(
            "Governance",
            "valvomo-governance",
            "Which outputs nobody reviewed, which uses the law watches, and how long that has been so.",
            "now-30d",
        )
        .with_variable(source_variable())
        .with_variable(labels("unit", "Unit", "label_values(valvomo_findings_open, unit)"))
    )
    rows = (
        ("At a glance", _glance()),
        ("Findings", _findings()),
        ("Reviews", _reviews()),
        ("Incidents and the register", _register()),
    )
    for title, panels in rows:
        made.with_row(dashboard.Row(title))
        for panel in panels:
            made.with_panel(panel)
    return made


def _glance() -> Sequence[Panel]:
    return [
        figure("Findings that are open", "Of the chosen units.", "short", f"sum({FINDINGS}) or vector(0)",
               [(None, GOOD), (1, NEAR)]),
        figure("That cannot wait", "Prohibited, suspended or rejected use that goes on, and reports too late.", "short",
               f"sum({CANNOT_WAIT}) or vector(0)", [(None, GOOD), (1, OVER)]),
        figure("Oldest open finding", "How long ago it was detected.", "s",
               "max(valvomo_findings_oldest_open_seconds)", OLD),
        figure("Waiting for review", "Outputs that a person must still look at.", "short",
               f"sum({WAITING}) or vector(0)", [(None, PLAIN)]),
        figure("Longest overdue", "How long ago the review fell due that has waited longest.", "s", f"max({DUE})",
               [(None, GOOD), (1, NEAR), (7 * DAY_SECONDS, OVER)]),
        figure("Judging behind by", "How long an output whose time has come waits until the program looks at it.", "s",
               "max(valvomo_review_judging_lag_seconds)", [(None, GOOD), (60, OVER)]),
    ]  # fmt: skip


def _findings() -> Sequence[Panel]:
    return [
        lines("Findings by kind over time", "Those that were open at each moment.", "short",
              [(f"sum by (kind) ({FINDINGS})", "{{kind}}")], stacked=True),
        lines("Findings by unit over time", "Whose they are.", "short",
              [(f"sum by (unit) ({FINDINGS})", "{{unit}}")], stacked=True),
        bars("Use that should not have been", "Used unreviewed or rejected, prohibited, suspended, unlogged; by unit.",
             "short", f"sum by (unit) (max by (unit, kind) (valvomo_findings_open{{{UNIT}, {OF_USE}}})) > 0",
             "{{unit}}", steps=[(None, OVER)]),
        bars("Age of the oldest of each kind", "Since it was detected; over thirty days somebody must ask why.", "s",
             "max by (kind) (valvomo_findings_oldest_open_seconds)", "{{kind}}",
             steps=OLD),
    ]  # fmt: skip


def _reviews() -> Sequence[Panel]:
    return [
        bars("Share reviewed by use case", "Of outputs whose review was due, in time or late.", "percentunit", RATIO,
             "{{use_case}} ({{unit}})", steps=[(None, OVER), (0.9, NEAR), (0.98, GOOD)]),
        lines("Share reviewed over time", "Of outputs whose review was due, by use case and unit.", "percentunit",
              [(RATIO, "{{use_case}} ({{unit}})")]),
        lines("Waiting by class", "Outputs that a person must still review, by their class.", "short",
              [(f"sum by (risk_class) ({WAITING})", "{{risk_class}}")], stacked=True),
        bars("Longest overdue by unit", "How long ago the oldest due review of each unit fell due.", "s",
             f"{DUE} > 0", "{{unit}}", steps=[(None, NEAR), (7 * DAY_SECONDS, OVER)]),
    ]  # fmt: skip


def _register() -> Sequence[Panel]:
    missing = f'max by (unit, kind) (valvomo_findings_open{{{UNIT}, kind=~"record_missing|uncovered_use"}})'
    return [
        bars("Open incidents", "By their kind.", "short", "max by (kind) (valvomo_incidents_open)", "{{kind}}",
             steps=[(None, NEAR)], width=THIRD),
        bars("Next report due in", "Whom the law wants told (Article 73), and how soon; below nought it is late.", "s",
             INCIDENT, "{{kind}}: {{whom}}", width=THIRD,
             steps=[(None, OVER), (2 * DAY_SECONDS, NEAR), (5 * DAY_SECONDS, GOOD)]),
        bars("What the register lacks", "Records that the law asks for, and uses that no entry covers, by unit.",
             "short", f"sum by (unit, kind) ({missing}) or vector(0)", "{{unit}} {{kind}}",
             steps=[(None, GOOD), (1, NEAR)], width=THIRD),
        words("How to read this board", _HOW_TO_READ, width=HALF, height=6),
    ]  # fmt: skip
