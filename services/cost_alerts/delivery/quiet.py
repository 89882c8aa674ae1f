"""When a message may leave: a role's quiet hours and the hour of its digest, by the clock in Helsinki.

What may leave when depends on the message alone, not on when it was looked at: after a restart it is the same.
"""

from datetime import UTC, datetime, time, timedelta

from services.cost_alerts.delivery.recipients import QuietHours, Recipient
from services.cost_alerts.domain.alerts.letter import Letter
from services.shared.periods import HELSINKI

_SATURDAY = 5
_DAY = timedelta(days=1)


def due_at(letter: Letter, recipient: Recipient) -> datetime:
    """The moment (UTC) from which the role may be told: at once when it is critical, or when the role never rests."""
    decided = letter.decided_at.astimezone(UTC)
    if letter.severity == "critical" or (recipient.digest is None and recipient.quiet_hours is None):
        return decided
    wall = decided.astimezone(HELSINKI).replace(tzinfo=None)  # wall clock: a day has one 18:00, however long it is
    digest, hours = recipient.digest, recipient.quiet_hours
    free = _end_of_rest(wall, hours) if digest is None else _next_digest(wall, digest, hours)
    if free == wall:
        return decided
    first, second = (free.replace(tzinfo=HELSINKI, fold=fold).astimezone(UTC) for fold in (0, 1))
    return first if first >= decided else second  # the hour that clocks show twice in October


def _next_digest(wall: datetime, hour: time, hours: QuietHours | None) -> datetime:
    """The digest's next hour that is no weekend's rest; the recipients file lets it lie in no night's."""
    found = _next(wall, hour)
    while _rests(found, hours):
        found = _next(found, hour)
    return found


def _end_of_rest(wall: datetime, hours: QuietHours | None) -> datetime:
    """`wall` itself, or the end of the rest that it falls into."""
    while hours is not None and _rests(wall, hours):
        wall = min(_next(wall, hours.to), _next(wall, time()))
    return wall


def _rests(wall: datetime, hours: QuietHours | None) -> bool:
    if hours is None:
        return False
    return (hours.weekends and wall.weekday() >= _SATURDAY) or hours.hold_at(wall.time())


def _next(wall: datetime, moment: time) -> datetime:
    """The next time, after `wall`, that a clock shows `moment`."""
    today = datetime.combine(wall.date(), moment)
    return today if today > wall else today + _DAY
