"""A letter for programs: what a webhook carries. Money is text, exact; nothing of it needs a language."""

from collections.abc import Mapping
from typing import Any

from services.cost_alerts.domain.alerts.letter import Letter, Mover, Named
from services.cost_alerts.web.letters.telling import Links, reached, tell, used_ratio
from services.shared.events.outcomes import Condition, Crossing
from services.shared.money import as_text
from services.shared.periods import timestamp
from services.shared.web.words import Language

CROSSED = "valvomo.alert.threshold_crossed.v2"
RAISED = "valvomo.alert.condition_raised.v1"
RESOLVED = "valvomo.alert.condition_resolved.v1"


def document(letter: Letter, role: str, language: Language, links: Links, text: str) -> Mapping[str, Any]:
    """The document. `text`: what a mail would say, in the language of the role."""
    told = tell(letter, role, language, links)
    briefing = letter.briefing
    return {
        "type": _type(letter),
        "timestamp": timestamp(letter.decided_at),
        "data": {
            "alert_id": letter.alert_id,
            "kind": letter.kind,
            "severity": letter.severity,
            "recipient": role,
            "language": language,
            "title": told.subject,
            "text": text,
            "unit": _named(briefing.unit),
            "system": _named(briefing.system),
            **({} if letter.crossing is None else _crossing(letter, letter.crossing)),
            **({} if letter.condition is None else {"condition": _condition(letter.condition)}),
            "movers": [_mover(one) for one in briefing.movers],
            "lasts_until": None if briefing.lasts_until is None else briefing.lasts_until.isoformat(),
            "actions": list(briefing.actions),
            "chart": [{"day": point.day.isoformat(), "eur": as_text(point.eur)} for point in briefing.chart],
            "link": told.link,
            "acknowledge": told.acknowledge,
        },
    }


def _type(letter: Letter) -> str:
    if letter.crossing is not None:
        return CROSSED
    return RESOLVED if letter.resolved else RAISED


def _named(named: Named | None) -> Mapping[str, Any] | None:
    if named is None:
        return None
    return {"id": named.id, "name": dict(named.name), "cost_centre": named.cost_centre}


def _crossing(letter: Letter, crossing: Crossing) -> Mapping[str, Any]:
    limits = {"low": letter.forecast_low_eur, "mid": crossing.forecast_eur, "high": letter.forecast_high_eur}
    return {
        **_figures(crossing),
        "epoch": crossing.epoch,
        "cause": crossing.cause,
        "decision": crossing.decision,
        "committed_eur": None if crossing.committed_eur is None else as_text(crossing.committed_eur),
        "forecast_eur": {name: None if one is None else as_text(one) for name, one in limits.items()},
        "also": [_figures(one) for one in letter.also],
    }


def _figures(crossing: Crossing) -> Mapping[str, Any]:
    return {
        "budget": {"id": crossing.budget, "period": crossing.period, "amount_eur": as_text(crossing.amount_eur)},
        "measure": crossing.measure,
        "threshold": as_text(crossing.threshold),
        "used_eur": as_text(crossing.used_eur),
        "used_ratio": as_text(used_ratio(crossing.used_eur, crossing.amount_eur)),
        "reached_eur": as_text(reached(crossing)),
    }


def _condition(condition: Condition) -> Mapping[str, Any]:
    return {
        "about": condition.about,
        "since": condition.since.isoformat(),
        "until": None if condition.until is None else condition.until.isoformat(),
        "figures": {name: as_text(figure) for name, figure in condition.figures.items()},
    }


def _mover(mover: Mover) -> Mapping[str, Any]:
    return {
        "unit": mover.unit.id,
        "system": mover.system.id,
        "sku": mover.sku,
        "before_eur": as_text(mover.before_eur),
        "after_eur": as_text(mover.after_eur),
    }
