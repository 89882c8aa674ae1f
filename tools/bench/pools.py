"""A pool that a city uses much of: what making its month costs, and what one more reading of that month does.

    python -m tools.bench.pools [--readings N] [--folder DIR]

On SQLite nobody else writes meanwhile, so the time of one more reading is what everybody waits.
"""

import argparse
import json
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median

from services.cost_alerts.adapters.ledger import Memory
from services.cost_alerts.adapters.periods import SqlPeriods, pending
from services.cost_alerts.handlers.outcomes import OutcomesHandler
from services.cost_alerts.handlers.periods import PeriodWorker
from services.cost_alerts.handlers.register import RegisterHandler
from services.shared.bus import Message
from services.shared.events import USAGE, register
from services.shared.events.envelope import Fact
from services.shared.logs import configure_logs
from services.usage_collector.register.facts import KIND, Facts
from services.usage_collector.register.publish import publish
from tools.bench import city, forms
from tools.bench.forms import Pipeline, consumer_of, drain
from tools.bench.loops import Took, timed

SYSTEM, SKU, METER = "city-chat", "chat", "messages"
FIRST = datetime(2026, 9, 30, 21, tzinfo=UTC)
"""The first instant of October in Helsinki, which is the contract's time zone."""
DAYS = 31
READINGS = 20_000
ASKED = 5
"""Times that one more reading is sent; the median counts."""

_FULL = 0.9
"""How much of what is used the pool holds: it runs dry before the month is over."""
_MEAN = 3
_SINCE = date(2026, 1, 1)


@dataclass(frozen=True)
class PoolFound:
    """Seconds of the period worker: for a whole month at once, and for one more reading of it.

    `last`: the reading is the newest of the month; `first`: it is the oldest, and came late. `afresh`: by a process
    that has just begun, and remembers nothing.
    """

    readings: int
    whole: Took
    last: Took
    first: Took
    afresh: Took

    def lines(self) -> Iterator[str]:
        """The findings as text."""
        yield f"\na pool of which {self.readings:,} readings a month are taken: seconds by the clock, processor time"
        for name, took in (
            ("its month from nothing", self.whole),
            ("one more reading, the newest", self.last),
            ("one more reading, the oldest", self.first),
            ("one more, by a process that has just begun", self.afresh),
        ):
            yield f"  {name:44}{took.wall:8.3f} {took.processor:8.3f}"


def measure(line: Pipeline, readings: int) -> PoolFound:
    """Publish a pool and a month of its use, charge it, and then send one reading after the other."""
    publish(_facts(readings), line.bus, line.clock)
    drain(consumer_of(line.ledger, RegisterHandler.group), line.ledger.store, line.bus)
    _begin_day(line)
    _use(line, [_event(number, FIRST + number * timedelta(days=DAYS) / readings) for number in range(readings)])
    whole = timed(lambda: _work(line))
    end = FIRST + timedelta(days=DAYS) - timedelta(seconds=1)
    last = [_one_more(line, readings + number, end) for number in range(ASKED)]
    first = [_one_more(line, readings + ASKED + number, FIRST) for number in range(ASKED)]
    line.ledger.periods = PeriodWorker(line.ledger.store, Memory().begin, SqlPeriods())
    afresh = _one_more(line, readings + 2 * ASKED, end)
    return PoolFound(readings, whole, _median(last), _median(first), afresh)


def _one_more(line: Pipeline, number: int, start: datetime) -> Took:
    _use(line, [_event(number, start)])
    return timed(lambda: _work(line))


def _median(took: list[Took]) -> Took:
    return Took(median(one.wall for one in took), median(one.processor for one in took))


def _begin_day(line: Pipeline) -> None:
    line.ledger.days.step()
    while line.ledger.relay.step() == 0.0:
        pass
    drain(consumer_of(line.ledger, OutcomesHandler.group), line.ledger.store, line.bus)
    _work(line)


def _use(line: Pipeline, events: list[tuple[str, bytes]]) -> None:
    line.bus.publish([Message(USAGE.name, f"{city.SOURCE}\x1f{name}".encode(), value) for name, value in events])
    drain(line.usage, line.ledger.store, line.bus)


def _work(line: Pipeline) -> None:
    """Let the worker make everything again that waits."""
    while _waits(line):
        line.ledger.periods.step()


def _waits(line: Pipeline) -> bool:
    with line.ledger.store.reading() as connection:
        return pending(connection) > 0


def _event(number: int, start: datetime) -> tuple[str, bytes]:
    """The id and the event of a reading: one to five messages of one of the city's people."""
    name, person = f"pool-{number:08d}", number * 7919 % city.PEOPLE
    reading = {
        "reading_id": name,
        "revision": 0,
        "system": SYSTEM,
        "sku": SKU,
        "charge_period_start": _text(start),
        "charge_period_end": _text(start + timedelta(seconds=1)),
        "consumed": {METER: str(1 + number % (2 * _MEAN - 1))},
        "consumer": {"person": f"p-{person:04d}", "account": f"wrk-{person % city.UNITS:03d}"},
        "finality": "final",
    }
    event = {
        "specversion": "1.0",
        "type": "valvomo.usage.recorded.v1",
        "source": city.SOURCE,
        "id": f"{name}.0",
        "subject": SYSTEM,
        "time": _text(start),
        "datacontenttype": "application/json",
        "data": reading,
    }
    return name, json.dumps(event).encode()


def _facts(readings: int) -> Facts:
    """The city of the other measurements, and a pool of messages that does not last for the month."""
    pool = {
        "kind": "pool", "id": METER, "meter": METER, "size": str(int(readings * _MEAN * _FULL)), "price": "5000.00",
        "currency": "USD",
    }  # fmt: skip
    price = {
        "id": "chat-messages", "system": SYSTEM, "sku": SKU, "meter": METER, "model": "per_unit", "price": "0.02",
        "per": "1", "currency": "USD", "valid_from": _SINCE, "source": "made up for the benchmark",
        "checked_on": _SINCE,
    }  # fmt: skip
    contract = {
        "id": "chat-2026", "system": SYSTEM, "vendor": "microsoft", "valid_from": _SINCE,
        "time_zone": "Europe/Helsinki", "terms": [pool],
    }  # fmt: skip
    found: list[tuple[str, Fact]] = [
        ("system", register.System(id=SYSTEM, vendor="microsoft", name="Chat", owner="city")),
        ("tariff", KIND["tariff"].model.model_validate(price)),
        ("contract", KIND["contract"].model.model_validate(contract)),
    ]
    return {**city.facts(), **{(kind, KIND[kind].fact_id(fact)): fact for kind, fact in found}}


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.pools", description=__doc__)
    parser.add_argument("--readings", type=int, default=READINGS, help="readings in the month (default %(default)s)")
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="where a temporary folder is made")
    arguments = parser.parse_args()
    configure_logs("text", "error")
    logging.disable(logging.WARNING)
    with (
        tempfile.TemporaryDirectory(prefix="valvomo-bench-", dir=arguments.folder) as name,
        forms.embedded(Path(name)) as form,
        forms.pipeline(form) as line,
    ):
        print(*measure(line, arguments.readings).lines(), sep="\n")


if __name__ == "__main__":
    main()
