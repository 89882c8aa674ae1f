"""Facts that hold for a time, and how days and names are written in the register."""

import re
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from services.shared.events.envelope import Fact, Name

_day_text = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII).fullmatch


def _calendar_day(value: object) -> object:
    """Only what is written as a day is one: 20260101 would otherwise be taken for seconds since 1970."""
    written_as_day = (isinstance(value, str) and _day_text(value) is not None) or (
        isinstance(value, date) and not isinstance(value, datetime)
    )
    if not written_as_day:
        raise ValueError("a day is written YYYY-MM-DD; for example 2026-01-01")
    return value


Day = Annotated[date, BeforeValidator(_calendar_day)]
"""A calendar day, written `YYYY-MM-DD`."""

Names = Annotated[dict[Literal["fi", "sv", "en"], Name], Field(min_length=1)]
YearMonth = Annotated[str, StringConstraints(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$")]
"""A Helsinki month, written `YYYY-MM`."""


class Dated(Fact):
    """A fact with a validity: `valid_from` inclusive, `valid_to` exclusive or null."""

    valid_from: Day
    valid_to: Day | None = None

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> "Dated":
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError("valid_to must be later than valid_from; leave it out while the entry holds")
        return self

    def holds_on(self, day: date) -> bool:
        """Whether the fact holds on `day`."""
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)
