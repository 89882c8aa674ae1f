"""Two incidents of the city: of one the authority was told in time, of the other too late.

Told by the functions of `valvomo incident`, as a city tells of its own; in three steps, each when the log has read the
one before. The first is so young that no clock of it runs out before the log hears whom it was told.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from services.audit_log.adapters.ai_register.incident_desk import Accepted, IncidentDesk, Refused, Teller
from services.audit_log.adapters.tables import METADATA
from services.audit_log.domain.ai_register.incidents import IN_ORDER, NewEnd, NewIncident, NewNotification
from services.shared.clock import Clock
from services.shared.errors import ConfigurationError
from services.shared.settings import Settings
from services.shared.store.open import open_store
from services.simulator.matters import DECISIONS, PERMITS

TOLD_IN_TIME, TOLD_LATE = "EX-INC-1", "EX-INC-2"
"""The ids of the incidents: record numbers that are invented."""

_TELLER = Teller("data-protection-officer")


@dataclass(frozen=True, slots=True)
class _Told:
    """An incident and the days, after somebody became aware of it, on which provider and authority were told."""

    incident_id: str
    use_case: str
    unit: str
    what: str
    aware_days_ago: int
    told_after_days: tuple[int, int]
    outcome: str | None = None


_INCIDENTS: Sequence[_Told] = (
    _Told(
        TOLD_IN_TIME, DECISIONS, "tyollisyyspalvelut", "Several needs of services were set too low", 10, (1, 4),
        "The decisions were corrected and the instructions to the model changed",
    ),
    _Told(
        TOLD_LATE, PERMITS, "rakennusvalvonta", "In several applications a missing exit was overlooked", 26, (17, 19)
    ),
)  # fmt: skip


def open_incidents(settings: Settings, clock: Clock, today: date) -> None:
    """Open the city's incidents; the log has them when it has read what is on its way."""
    with closing(open_store(settings, "log", METADATA)) as store:
        desk = IncidentDesk(store, clock)
        for one in _INCIDENTS:
            wanted = NewIncident(
                incident_id=one.incident_id, kind="serious", what=one.what, aware_at=_noon(today, one.aware_days_ago),
                unit=one.unit, use_case=one.use_case,
            )  # fmt: skip
            _done(desk.open(_TELLER, wanted))


def tell_of_incidents(settings: Settings, clock: Clock, today: date) -> None:
    """Say when provider and authority were told of the incidents, once the log has these."""
    with closing(open_store(settings, "log", METADATA)) as store:
        desk = IncidentDesk(store, clock)
        for one in _INCIDENTS:
            for whom, days in zip(IN_ORDER, one.told_after_days, strict=True):
                told_at = _noon(today, one.aware_days_ago - days)
                wanted = NewNotification(incident_id=one.incident_id, whom=whom, notified_at=told_at)
                _done(desk.notify(_TELLER, wanted))


def close_incidents(settings: Settings, clock: Clock) -> None:
    """Close the incidents that are over, once the log has whom they were told."""
    with closing(open_store(settings, "log", METADATA)) as store:
        desk = IncidentDesk(store, clock)
        for one in _INCIDENTS:
            if one.outcome is not None:
                _done(desk.close(_TELLER, NewEnd(incident_id=one.incident_id, outcome=one.outcome)))


def _done(answer: Accepted | Refused) -> None:
    if isinstance(answer, Refused):
        raise ConfigurationError(f"the log does not take the city's incidents: {answer.sentence}")


def _noon(today: date, days_ago: int) -> datetime:
    return datetime.combine(today - timedelta(days=days_ago), time(12), UTC)
