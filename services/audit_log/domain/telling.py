"""Events that the log tells about itself."""

from datetime import datetime
from typing import TypeVar

from services.shared.events import Event, event_id
from services.shared.events.envelope import Fact

SOURCE = "valvomo/audit-log"
_E = TypeVar("_E", bound=Event)


def about_log(kind: type[_E], data: Fact, told_at: datetime, *named: str | int | datetime) -> _E:
    """An event about the log; `named` tells it from others of its kind, the same way every time it is told."""
    name = str(kind.model_fields["type"].default)
    return kind(id=event_id(name, *named), source=SOURCE, subject="log", time=told_at, data=data)  # type: ignore[call-arg]  # each kind has its own default type
