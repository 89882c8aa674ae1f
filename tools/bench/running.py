"""The program as it runs: from HTTP intake to a row in the ledger, the rate of all three services at once, memory."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

import httpx
from sqlalchemy import func, select

from services.cost_alerts.adapters.tables import METADATA, READING
from services.shared.store import Store
from services.shared.store.open import open_store
from tests.end_to_end.program import Program
from tools.bench import city
from tools.bench.forms import Form

SINGLES = 200
BATCHES = 30
BATCH = 1_000
STREAM_BATCHES = 30
LOOK_SECONDS = 0.001
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Latency:
    """Milliseconds from before the post until all its readings are rows of the ledger."""

    p50: float
    p99: float
    answer_p50: float


@dataclass(frozen=True)
class Running:
    """`rate`: readings per second from the first post until all are rows, with the log and everything else at work."""

    single: Latency
    batch: Latency
    rate: float
    peak_bytes: int


def measure(form: Form, first: int) -> Running:
    """Run the program of a form on its data, post readings from number `first` on, and watch the ledger."""
    settings = form.settings
    store = settings.store.get_secret_value()
    with Program(settings.data_dir, bus=settings.bus, store=store) as program:
        program.start()
        program.wait_until_caught_up()
        ledger = open_store(settings, "ledger", METADATA)
        try:
            watch = _Watch(program, ledger, first)
            singles = _latency([watch.post_one() for _ in range(SINGLES)])
            batches = _latency([watch.post(BATCH) for _ in range(BATCHES)])
            rate = watch.stream()
        finally:
            ledger.close()
        peak = _peak_bytes(program.pid)
    return Running(singles, batches, rate, peak)


class _Watch:
    """Posts readings that nobody has seen, and waits until the ledger has them."""

    def __init__(self, program: Program, ledger: Store, first: int) -> None:
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{program.port}", timeout=60)
        self._ledger = ledger
        self._next = first
        self._rows = self._count()

    def post_one(self) -> tuple[float, float]:
        return self._timed(lambda: self._send("application/cloudevents+json", self._events(1)[0]), 1)

    def post(self, count: int) -> tuple[float, float]:
        """Seconds until the answer, and until the rows are there."""
        body = b"[" + b",".join(self._events(count)) + b"]"
        return self._timed(lambda: self._send("application/cloudevents-batch+json", body), count)

    def stream(self) -> float:
        """Readings per second when batches follow each other without a pause."""
        bodies = [b"[" + b",".join(self._events(BATCH)) + b"]" for _ in range(STREAM_BATCHES)]

        def send() -> None:
            for body in bodies:
                self._send("application/cloudevents-batch+json", body)

        count = STREAM_BATCHES * BATCH
        return count / self._timed(send, count)[1]

    def _events(self, count: int) -> Sequence[bytes]:
        first, self._next = self._next, self._next + count
        return [city.reading(number)[1] for number in range(first, self._next)]

    def _timed(self, send: Callable[[], None], count: int) -> tuple[float, float]:
        wanted = self._rows + count
        start = time.perf_counter()
        send()
        answered = time.perf_counter() - start
        while (found := self._count()) < wanted:
            if time.perf_counter() - start > PATIENCE_SECONDS:
                raise TimeoutError(f"the ledger has {found} readings after {PATIENCE_SECONDS} s, expected {wanted}")
            time.sleep(LOOK_SECONDS)
        self._rows = wanted
        return answered, time.perf_counter() - start

    def _send(self, kind: str, body: bytes) -> None:
        answer = self._client.post("/v1/events", content=body, headers={"content-type": kind})
        if answer.status_code != httpx.codes.ACCEPTED:
            raise RuntimeError(f"the intake answered {answer.status_code}: {answer.text[:500]}")

    def _count(self) -> int:
        """The last reading's number: in a ledger of one consumer, how many there are."""
        with self._ledger.reading() as connection:
            return int(connection.execute(select(func.max(READING.c.number))).scalar() or 0)


def _latency(found: Sequence[tuple[float, float]]) -> Latency:
    answers, rows = zip(*found, strict=True)
    percent = quantiles(rows, n=100, method="inclusive")
    return Latency(percent[49] * 1000, percent[98] * 1000, quantiles(answers, n=2)[0] * 1000)


def _peak_bytes(pid: int) -> int:
    """The most memory that the process ever had resident, as Linux counts it; 0 where it does not say."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    return int(lines["VmHWM"].split()[0]) * 1024
