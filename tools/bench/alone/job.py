"""The job that libraries are compared by: three meters times their prices, added up per unit in memory.

Only the standard library is imported here: the children of this folder run in environments that hold one library each.
Decoding is theirs, each with orjson; so is committing, once per `commit_every` records.
"""

import json
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, NamedTuple


class Task(NamedTuple):
    """What a child is to do. `prices`: meter → price of one; the group goes on where it last committed."""

    servers: str
    topic: str
    group: str
    records: int
    commit_every: int
    prices: Mapping[str, Decimal]

    def as_text(self) -> str:
        return json.dumps(self._asdict(), default=str)

    @classmethod
    def from_text(cls, text: str) -> "Task":
        found = json.loads(text)
        return cls(**{**found, "prices": {meter: Decimal(price) for meter, price in found["prices"].items()}})


def asked() -> Task:
    """The task that this process was started with."""
    return Task.from_text(sys.argv[1])


@dataclass(frozen=True)
class Done:
    """Seconds from the first record until the last commit: by the clock, and of processor time, all threads.

    `sums`: account → what its records cost, exact, without trailing zeros.
    """

    records: int
    wall: float
    processor: float
    sums: Mapping[str, str]


class Job:
    """Adds up what so many records cost; the clock runs from the first `add` to `stop`."""

    def __init__(self, records: int, prices: Mapping[str, Decimal]) -> None:
        self.left = records
        self._records = records
        self._prices = prices
        self._sums: dict[str, Decimal] = defaultdict(Decimal)
        self._began = (0.0, 0.0)
        self._took = (0.0, 0.0)

    def add(self, event: Mapping[str, Any]) -> None:
        if self.left == self._records:
            self._began = (time.perf_counter(), time.process_time())
        data, prices = event["data"], self._prices
        cost = Decimal(0)
        for meter, quantity in data["consumed"].items():
            cost += Decimal(quantity) * prices[meter]
        self._sums[data["consumer"]["account"]] += cost
        self.left -= 1

    def stop(self) -> None:
        """The last commit is done."""
        self._took = (time.perf_counter() - self._began[0], time.process_time() - self._began[1])

    def done(self) -> Done:
        sums = {account: f"{total.normalize():f}" for account, total in sorted(self._sums.items())}
        return Done(self._records - self.left, *self._took, sums)

    def tell(self) -> None:
        """Tell the parent, by one line of JSON."""
        print(json.dumps(asdict(self.done())), flush=True)
