"""What forecasts are made from, and where they are kept."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple, Protocol

from sqlalchemy import Connection

from services.cost_alerts.domain.foresight.assemble import Outcome
from services.cost_alerts.domain.foresight.forecast import Forecast
from services.cost_alerts.domain.foresight.inputs import Inputs
from services.cost_alerts.domain.foresight.issued import ForecastTest
from services.shared.periods import Month
from services.shared.store import Transaction


class Last(NamedTuple):
    """The last making of forecasts: for which day, from which state of the ledger, and when."""

    today: date
    state: str
    at: datetime


class ForecastBook(Protocol):
    """What the ledger knows that forecasts are made from, and the forecasts that were made."""

    def state(self, connection: Connection) -> str:
        """Changes whenever the sums or the register have; cheap beside making forecasts."""
        ...

    def inputs(self, connection: Connection, today: date) -> Inputs:
        """What forecasts in the morning of a day are made from."""
        ...

    def last(self, connection: Connection) -> Last | None:
        """The last making, by whichever process; None: there was none."""
        ...

    def keep(self, tx: Transaction, made: Outcome, last: Last) -> None:
        """Keep a day's forecasts in the place of those made earlier on that day, and when they were made."""
        ...

    def of_month(self, connection: Connection, month: Month) -> Sequence[Forecast]:
        """Every forecast of a whole month that was kept, by the day it was made on."""
        ...

    def tested(self, connection: Connection) -> Month | None:
        """The last month that the tests kept go up to; None: there are none."""
        ...

    def keep_tests(self, tx: Transaction, month: Month, tests: Sequence[ForecastTest]) -> None:
        """Keep the tests made when a month had ended, in the place of earlier ones."""
        ...
