"""A usage event as an application of the city writes it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.shared.periods import timestamp
from services.simulator.outputs import Sent


def reading(  # noqa: PLR0917  # the members of every reading, in their usual order
    source: str,
    reading_id: str,
    system: str,
    sku: str,
    period: tuple[datetime, datetime],
    consumed: Mapping[str, int],
    **more: Any,  # noqa: ANN401  # further members of a reading, as JSON
) -> Sent:
    """A usage event, first revision, told when its period ends."""
    start, end = period
    data: dict[str, Any] = {
        "reading_id": reading_id,
        "system": system,
        "sku": sku,
        "charge_period_start": timestamp(start),
        "charge_period_end": timestamp(end),
        "consumed": {meter: str(found) for meter, found in consumed.items()},
        **more,
    }
    return {
        "specversion": "1.0",
        "type": "valvomo.usage.recorded.v1",
        "source": source,
        "id": f"{reading_id}.0",
        "subject": system,
        "time": timestamp(end),
        "data": data,
    }
