"""What holds now, beside what was told: which alerts begin and which are over. Pure; nothing flaps.

An alert that is open stays as it was told while its condition holds; it is told anew only when it has become more
urgent. What comes back after it was over is a new alert, at most once a day.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from services.cost_alerts.domain.alerts.anomalies import anomalies
from services.cost_alerts.domain.alerts.endings import drying_pools, ending_contracts
from services.cost_alerts.domain.alerts.found import Found
from services.cost_alerts.domain.alerts.prices import ending_prices, missing_prices, rising_prices
from services.cost_alerts.domain.alerts.routing import recipients
from services.cost_alerts.domain.alerts.silence import is_heard, silences
from services.cost_alerts.domain.alerts.situation import Situation
from services.shared.events.outcomes import AlertKind, Condition, Severity
from services.shared.money import EXACT

FINDERS: Mapping[AlertKind, Callable[[Situation], Iterator[Found]]] = {
    "no_data": silences,
    "price_missing": missing_prices,
    "price_rising": rising_prices,
    "tariff_expiring": ending_prices,
    "pool_running_dry": drying_pools,
    "contract_ending": ending_contracts,
    "anomaly": anomalies,
}

SEVERITIES: Mapping[Severity, int] = {"info": 0, "warning": 1, "critical": 2}
_FINEST = Decimal("1e-9")


@dataclass(frozen=True, slots=True)
class Changes:
    """What the watch tells.

    `replaced`: over only because the same is told as more urgent. `lapsed`: over only because time has passed, with
    nothing better. Of neither anybody needs a message.
    """

    raised: tuple[Condition, ...]
    resolved: tuple[Condition, ...]
    replaced: frozenset[str] = frozenset()
    lapsed: frozenset[str] = frozenset()


def find(situation: Situation) -> list[Found]:
    """All that holds now."""
    return [found for kind in FINDERS if is_judged(situation, kind) for found in FINDERS[kind](situation)]


def is_judged(situation: Situation, kind: AlertKind) -> bool:
    """Whether anybody can say now what holds of a kind; else its alerts stay as they are."""
    match kind:
        case "price_rising":
            return situation.rises is not None
        case "pool_running_dry":
            return situation.drying is not None
        case "anomaly":
            return not situation.restating
        case _:
            return True


def changes(situation: Situation, told: Collection[str]) -> Changes:
    """What begins and what is over. `told`: the ids of all alerts that were ever raised."""
    found = {one.topic: one for one in find(situation)}
    urgent = {topic for topic, one in found.items() if _is_more_urgent(one, situation.open.get(topic))}
    fresh = [found[topic] for topic in found if topic not in situation.open or topic in urgent]
    raised = tuple(_condition(situation, one) for one in _named_anew(situation, fresh, told))
    telling = {(one.kind, one.about) for one in raised}
    over = {topic for topic in situation.open if topic not in found and is_judged(situation, topic[0])}
    replaced = {situation.open[topic].alert_id for topic in urgent & telling}
    resolved = tuple(one for topic, one in situation.open.items() if topic in over or one.alert_id in replaced)
    lapsed = frozenset(one.alert_id for one in resolved if _has_lapsed(situation, one))
    return Changes(raised, resolved, frozenset(replaced), lapsed)


def _has_lapsed(situation: Situation, condition: Condition) -> bool:
    """Whether the day to act has passed, or a silence has become old, and nothing is better than it was."""
    match condition.kind:
        case "contract_ending" | "tariff_expiring":
            return condition.until is not None and condition.until < situation.today
        case "no_data":
            return not is_heard(situation, condition)
        case _:
            return False


def _is_more_urgent(found: Found, before: Condition | None) -> bool:
    return before is not None and SEVERITIES[found.severity] > SEVERITIES[before.severity]


def _named_anew(situation: Situation, fresh: Iterable[Found], told: Collection[str]) -> Iterator[Found]:
    """What has a name of its own: one that is told a second time is named by today, and no third time today."""
    for found in fresh:
        named = found if found.alert_id not in told else replace(found, since=situation.today)
        if named.alert_id not in told:
            yield named


def _condition(situation: Situation, found: Found) -> Condition:
    return Condition(
        alert_id=found.alert_id,
        kind=found.kind,
        severity=found.severity,
        unit=found.unit,
        system=found.system,
        about=found.about,
        since=found.since,
        figures={name: _exact(value) for name, value in found.figures.items()},
        until=found.until,
        recipients=recipients(situation, found),
    )


def _exact(value: Decimal) -> Decimal:
    """At most nine decimals: a pool's quantities are fractions, and an event keeps eighteen."""
    rounded = value.quantize(_FINEST, context=EXACT)
    return value if value == rounded else rounded
