"""Months, as options and arguments of commands write them."""

import typer

from services.shared.periods import Month


def parse_month(text: str) -> Month:
    """A month as an option or argument of a command writes it."""
    try:
        month = Month.parse(text)
        _ = month.period  # years that no calendar has
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(f"{error}: write a month of our time, for example 2026-11") from None
    return month
