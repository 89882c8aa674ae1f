"""What the routes are asked for alike: a month, a language."""

from datetime import date
from typing import Annotated

from fastapi import HTTPException, Query

from services.shared.periods import Month
from services.shared.web.words import Language

MonthText = Annotated[str | None, Query(description="YYYY-MM, counted in Helsinki; default: the present one")]
LanguageText = Annotated[Language | None, Query(description="fi, sv or en; default: what the browser asks for")]


def month_asked(text: str) -> Month:
    """The month that a request names, or an answer of 422 that says how months are written."""
    try:
        return Month.parse(text)
    except ValueError as error:
        raise HTTPException(422, str(error)) from None


def month_or_present(text: str | None, today: date) -> Month:
    """The month that a request names, else that of `today`."""
    return Month.of(today) if text is None else month_asked(text)
