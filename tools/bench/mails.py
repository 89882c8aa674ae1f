"""From an event to the mail that it causes, while the ledger is kept as busy as it can be.

    python -m tools.bench.mails [--alerts N] [--form embedded|servers] [--folder DIR] [--json]

Every alert is another unit's: one reading that takes the unit past its budget is posted, and a real SMTP server notes
when the mail of that unit comes in. Meanwhile readings of the city stream in without a pause.
"""

import argparse
import json
import logging
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import quantiles

import httpx
from aiosmtpd.smtp import SMTP, Envelope, Session

from services.shared.bus.open import open_bus
from services.shared.clock import SystemClock
from services.shared.events import TOPICS, register
from services.shared.logs import configure_logs
from services.usage_collector.register.facts import KIND, Facts
from services.usage_collector.register.publish import publish
from tests.end_to_end.program import Program
from tests.unit.cost_alerts.inbox import Inbox, server
from tools.bench import city, forms

PAUSE_SECONDS = 0.3
PATIENCE_SECONDS = 120.0
BATCH = 1_000
_DOMAIN = "city.example"


@dataclass(frozen=True)
class Found:
    """Seconds from before the post until the mail was there; readings per second that came in meanwhile."""

    form: str
    alerts: int
    p50: float
    p99: float
    longest: float
    readings_per_second: float


class Clocked(Inbox):
    """Notes when a recipient's first mail came."""

    def __init__(self) -> None:
        super().__init__()
        self.came: dict[str, float] = {}

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd
        for address in envelope.rcpt_tos:
            self.came.setdefault(address.partition("@")[0], time.perf_counter())
        return await super().handle_DATA(server, session, envelope)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.mails", description=__doc__)
    parser.add_argument("--alerts", type=int, default=100, help="mails that are waited for (default %(default)s)")
    parser.add_argument("--form", choices=("embedded", "servers"), default="embedded")
    parser.add_argument("--folder", help="where the temporary folder is made; on a disk, not in memory")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    wanted = parser.parse_args()
    configure_logs("text", "error")
    logging.disable(logging.WARNING)
    opener = forms.embedded if wanted.form == "embedded" else forms.distributed
    with tempfile.TemporaryDirectory(prefix="valvomo-bench-", dir=wanted.folder) as name, opener(Path(name)) as form:
        found = measure(form, wanted.alerts)
    print(json.dumps(asdict(found)) if wanted.json else told(found))


def told(found: Found) -> str:
    return (
        f"{found.form}: {found.alerts} alerts, from the post to the mail p50 {found.p50:.1f} s, p99 {found.p99:.1f} s, "
        f"longest {found.longest:.1f} s, while {found.readings_per_second:,.0f} readings/s came in"
    )


def measure(form: forms.Form, alerts: int) -> Found:
    """Run the program of a form, keep it busy, and take units past their budgets one after the other."""
    settings = form.settings
    _publish_register(form, alerts)
    recipients = settings.data_dir.parent / "recipients.yaml"
    recipients.write_text("".join(f"told-{one}: {{addresses: [told-{one}@{_DOMAIN}]}}\n" for one in range(alerts)))
    inbox = Clocked()
    with server(inbox) as address:
        store = settings.store.get_secret_value()
        given = {"bus": settings.bus, "store": store, "smtp_url": f"smtp://{address}", "recipients_file": recipients}
        with Program(settings.data_dir, **given) as program:
            program.start()
            program.wait_until_caught_up()
            with _stream(program.port) as sent:
                began = time.perf_counter()
                posted = _post_all(program, alerts)
                _wait(inbox, alerts)
                rate = sent[0] / (time.perf_counter() - began)
    took = [inbox.came[name] - at for name, at in posted.items()]
    percent = quantiles(took, n=100, method="inclusive")
    return Found(form.name, alerts, percent[49], percent[98], max(took), rate)


def _publish_register(form: forms.Form, alerts: int) -> None:
    clock = SystemClock()
    bus = open_bus(form.settings, clock)
    try:
        bus.ensure_topics(TOPICS)
        publish({**city.facts(), **_told_units(alerts)}, bus, clock)
    finally:
        bus.close()


def _told_units(alerts: int) -> Facts:
    """A unit with a budget of ten euro for each alert, and the rates of the last days."""
    since, today = date(2025, 1, 1), datetime.now(UTC).date()
    found: list[tuple[str, object]] = [
        ("fx", register.FxRates(day=today - timedelta(days=days), rates={"USD": Decimal("1.15")}, source="made up"))
        for days in range(10)
    ]
    for number in range(alerts):
        name = f"told-{number}"
        match = register.Match(account=name)
        rule = register.AllocationRule(id=name, order=1_000 + number, match=match, unit=name, valid_from=since)
        budget = {"id": name, "unit": name, "period": today.year, "amount": "10.00", "currency": "EUR",
                  "thresholds": ["1.0"], "recipients": [name]}  # fmt: skip
        found += [
            ("unit", register.Unit(id=name, parent="city", name={"en": name}, valid_from=since)),
            ("allocation", rule),
            ("budget", KIND["budget"].model.model_validate(budget)),
        ]
    return {(kind, KIND[kind].fact_id(fact)): fact for kind, fact in found}  # type: ignore[misc]  # facts of each kind


def _post_all(program: Program, alerts: int) -> dict[str, float]:
    """Unit → when the reading that takes it past its budget was posted."""
    posted = {}
    for number in range(alerts):
        name = f"told-{number}"
        posted[name] = time.perf_counter()
        answer = program.post([_costly(name)])
        if answer.status_code != httpx.codes.ACCEPTED:
            raise RuntimeError(f"the intake answered {answer.status_code}: {answer.text[:500]}")
        time.sleep(PAUSE_SECONDS)
    return posted


def _costly(unit: str) -> dict[str, object]:
    """A reading of about 26 euro."""
    end = datetime.now(UTC).replace(microsecond=0)
    return {
        "specversion": "1.0", "type": "valvomo.usage.recorded.v1", "source": "bench/told", "id": f"{unit}.0",
        "subject": city.SYSTEM, "time": end.isoformat(), "datacontenttype": "application/json",
        "data": {
            "reading_id": unit, "system": city.SYSTEM, "sku": city.MODELS[0],
            "charge_period_start": (end - timedelta(seconds=1)).isoformat(), "charge_period_end": end.isoformat(),
            "consumed": {"output_tokens": "2000000"}, "dimensions": {"service_tier": "standard"},
            "consumer": {"account": unit},
        },
    }  # fmt: skip


def _wait(inbox: Clocked, alerts: int) -> None:
    deadline = time.perf_counter() + PATIENCE_SECONDS
    while len(inbox.came) < alerts:
        if time.perf_counter() > deadline:
            raise TimeoutError(f"found {len(inbox.came)} of {alerts} mails after {PATIENCE_SECONDS} s")
        time.sleep(0.05)


@contextmanager
def _stream(port: int) -> Iterator[list[int]]:
    """Post readings in batches without a pause until the block ends; yields how many were accepted so far."""
    stop, sent = threading.Event(), [0]

    def run() -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            while not stop.is_set():
                body = b"[" + b",".join(city.reading(sent[0] + one)[1] for one in range(BATCH)) + b"]"
                answer = client.post(
                    "/v1/events", content=body, headers={"content-type": "application/cloudevents-batch+json"}
                )
                if answer.status_code == httpx.codes.ACCEPTED:
                    sent[0] += BATCH
                else:  # asked to wait: it is as busy as it can be
                    time.sleep(PAUSE_SECONDS)

    sender = threading.Thread(target=run, name="stream", daemon=True)
    sender.start()
    try:
        yield sent
    finally:
        stop.set()
        sender.join(PATIENCE_SECONDS)


if __name__ == "__main__":
    main()
