"""Where a month would end if it went on as it has begun. A plain sum, named so wherever it is shown; not a forecast."""

from collections.abc import Mapping
from datetime import date

from services.shared.periods import Month


def at_this_pace(month: Month, costs: Mapping[date, int], today: date) -> int | None:
    """10⁻⁹ euro at the end of `month`: the days before `today`, and the average of them for every day from today on.

    What today has cost already counts instead where that is more. None on the first day of the month, and outside it:
    there is no pace to go by, or nothing left to tell.
    """
    done = (today - month.first_day).days
    if not 0 < done < month.days:
        return None
    before = sum(nano for day, nano in costs.items() if day < today)
    left = month.days - done - 1
    return before + max(costs.get(today, 0), before // done) + before * left // done
