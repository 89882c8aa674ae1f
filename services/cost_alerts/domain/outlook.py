"""Where a month would end if it went on as it has begun. A plain sum, named so wherever it is shown; not a forecast."""

from collections.abc import Mapping
from datetime import date

from services.shared.periods import Month


def at_this_pace(month: Month, costs: Mapping[date, int], today: date) -> int | None:
    """10⁻⁹ euro at the end of `month`: the cost of its days before `today`, carried on day by day.

    Today counts on neither side, for it is not over. None on the first day of the month, and outside it: there is no
    pace to go by, or nothing left to tell.
    """
    done = (today - month.first_day).days
    if not 0 < done < month.days:
        return None
    return sum(nano for day, nano in costs.items() if day < today) * month.days // done
