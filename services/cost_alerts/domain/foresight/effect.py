"""What one planned change does to the cost ahead, as it is kept beside the forecasts that reckon with it."""

from datetime import date

from pydantic import BaseModel, ConfigDict


class PlannedEffect(BaseModel):
    """What a planned change adds (negative: saves) from `made_on` on, in the order in which the changes come.

    Attributes:
        change: its id in the register.
        month_nano, year_nano: up to the end of the month and of the year of `made_on`; 10⁻⁹ euro.
        is_priced: whether all that it adds has a price; without one, what has none counts as nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    change: str
    kind: str
    system: str
    unit: str | None
    valid_from: date
    made_on: date
    month_nano: int
    year_nano: int
    is_priced: bool
