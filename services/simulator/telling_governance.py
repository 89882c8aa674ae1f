"""What an auditor can find of the city's stories, as anybody who may can ask the program for it over HTTP."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from services.simulator.incidents import TOLD_IN_TIME, TOLD_LATE
from services.simulator.matters import (
    BULK_SIZE,
    IN_BULK,
    REVIEWED_AFTER_USE,
    SELF_REVIEWED,
    SENT_AGAIN,
    UNTRAINED,
    USED_UNREVIEWED,
    WHILE_SUSPENDED,
)

Document = Mapping[str, Any]
Ask = Callable[[str], Document]

OF_OUTPUTS: Mapping[str, tuple[str, str]] = {
    "used_unreviewed": (USED_UNREVIEWED, "used_unreviewed"),
    "reviewed_after_use": (REVIEWED_AFTER_USE, "used_unreviewed"),
    "self_review": (SELF_REVIEWED, "self_review"),
    "reviewer_without_training": (UNTRAINED, "reviewer_not_trained"),
    "bulk_over_limit": (f"{IN_BULK}-{BULK_SIZE:02d}", "bulk_over_limit"),
    "used_while_suspended": (WHILE_SUSPENDED, "use_while_suspended"),
    "rejected_and_sent_again": (SENT_AGAIN, "resubmitted_after_reject"),
}
"""Story → its output, and the kind of the finding that tells it."""

SAMPLED = "limited"
"""The risk class of which a share is drawn."""


def governance_told(ask: Ask, model: str, today: date) -> dict[str, Document | None]:
    """Each story's figures and where to read on; null where the log has not found it.

    Args:
        ask: a path's JSON document.
        model: the one that no entry of the AI register covers.
        today: its quarter is the one that samples are told of.
    """
    return {
        **{name: _of_output(ask, output, kind) for name, (output, kind) in OF_OUTPUTS.items()},
        "uncovered_model": _uncovered(ask, model),
        "incident_told_in_time": _incident(ask, TOLD_IN_TIME),
        "incident_told_late": _incident(ask, TOLD_LATE),
        "sampled_outputs": _sampled(ask, f"{today.year}-Q{(today.month + 2) // 3}"),
        "shares_reviewed": _shares(ask),
    }


def _of_output(ask: Ask, output: str, kind: str) -> Document | None:
    found = ask(f"/api/v1/findings?state=all&output={output}&kind={kind}")["findings"]
    if not found:
        return None
    one = found[0]
    closed = one["closed"]
    return {
        "output": output, "finding": kind, "severity": one["severity"], "unit": one["unit"],
        "closed": closed and closed["reason"],
        "page": f"/reviews/output?id={output}", "command": f"valvomo audit query --output {output}",
    }  # fmt: skip


def _uncovered(ask: Ask, model: str) -> Document | None:
    findings = ask("/api/v1/findings?state=open&kind=uncovered_use")["findings"]
    found = next((one for one in findings if one["about"] == f"model {model}"), None)
    if found is None:
        return None
    names = ("about", "system", "unit", "severity")
    told = {name: found[name] for name in names}
    return told | {"page": "/findings?kind=uncovered_use", "command": "valvomo audit report"}


def _incident(ask: Ask, name: str) -> Document | None:
    found = next((one for one in ask("/api/v1/incidents")["incidents"] if one["incident_id"] == name), None)
    if found is None:
        return None
    clocks = {one["whom"]: one["state"] for one in found["clocks"]}
    figures = {"incident": name, "use_case": found["use_case"], "clocks": clocks}
    return figures | {"page": "/incidents", "command": "valvomo incident list --all"}


def _sampled(ask: Ask, quarter: str) -> Document | None:
    """What was drawn of the class of which only a share is reviewed, by a salt that was fixed before."""
    periods = ask(f"/api/v1/governance/report?quarter={quarter}")
    fixed = next(iter(periods["samples"]), None)
    outputs = sum(one["outputs"] for one in periods["population"] if one["risk_class"] == SAMPLED)
    if fixed is None or not outputs:
        return None
    drawn = sum(one["by_sample"] for one in periods["counted"]["drawn"] if one["risk_class"] == SAMPLED)
    figures = {"period": fixed["period"], "outputs": outputs, "drawn": drawn, "commitment": fixed["commitment"]}
    return figures | {"page": f"/governance/report?quarter={fixed['period']}", "command": "valvomo audit sample list"}


def _shares(ask: Ask) -> Document | None:
    """Of the outputs whose review was due, how many were reviewed in time, by unit."""
    found: dict[str, dict[str, int]] = {}
    for one in ask("/api/v1/governance/shares?months=36")["shares"]:
        unit = found.setdefault(one["unit"], {"in_time": 0, "due": 0})
        for name in unit:
            unit[name] += one[name]
    return {"units": found, "page": "/findings#shares", "command": "valvomo audit report"} if found else None
