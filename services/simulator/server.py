"""The simulated city, ready to be asked: its vendors on a free port of this machine, its applications as a client."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Self

from fastapi import FastAPI, Request
from fastapi.responses import Response
from pydantic import SecretStr

from services.shared.bus import EventBus
from services.shared.clock import Clock, SteppedClock, SystemClock
from services.shared.errors import ConfigurationError
from services.shared.periods import timestamp
from services.shared.serving import Server
from services.shared.settings import Settings
from services.simulator.accounts import DemoAccount, make_accounts
from services.simulator.afterwards import close_months, take_in_invoice
from services.simulator.apps import Apps
from services.simulator.assists import AssistUse
from services.simulator.billing import Billing
from services.simulator.city import load_city
from services.simulator.claude import ClaudeUse, Prices
from services.simulator.exchange import Ask, RefusedError, Reply, Vendor, as_json
from services.simulator.incidents import close_incidents, open_incidents, tell_of_incidents
from services.simulator.intake import Intake
from services.simulator.live import Live
from services.simulator.past import collect_past
from services.simulator.register import CityRegister
from services.simulator.seats import CopilotSeats
from services.simulator.stories import Stories
from services.simulator.vendors import anthropic, microsoft, servicenow

BUSY_EVERY = 40
"""Of so many questions to a vendor one is answered 429, with a Retry-After."""

BUSY_SECONDS = 1


class Busy:
    """A vendor that now and then asks to be left alone for a moment: every so many questions, whatever they are."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self._lock = threading.Lock()
        self._asked = 0

    def __call__(self, ask: Ask) -> Reply | None:
        reply = self._vendor(ask)
        if reply is None:
            return None
        with self._lock:
            self._asked += 1
            busy = self._asked % BUSY_EVERY == 0
        document = {"error": {"message": "Rate limit exceeded", "detail": "too many requests; see Retry-After"}}
        return as_json(document, 429, {"retry-after": str(BUSY_SECONDS)}) if busy else reply


class Simulator:
    """A city with its vendors and applications; use as a context manager.

    Args:
        city_dir: its register folder, with `vendors.json`.
        seed: the same seed, days and today give the same city.
        days: of history before `today`.
        today: the present UTC day.
        clock: of the vendors, once they are not put back into the past.

    Raises:
        ConfigurationError: the folder is not that of a city.
    """

    def __init__(self, city_dir: Path, *, seed: int, days: int, today: date, clock: Clock | None = None) -> None:
        city = load_city(city_dir)
        self.stories = Stories(seed, days, today)
        self._folder = city_dir
        self._knows = city.vendors
        self._apps = Apps(city, self.stories)
        use, prices = ClaudeUse(city, self.stories), Prices(city.tariffs)
        self._billing = Billing(city, self.stories, use, prices, self._apps)
        self._assists = AssistUse(city, self.stories)
        self._present = clock or SystemClock()
        self._clock = self._present
        self.vendors: tuple[Vendor, ...] = (
            Busy(anthropic.Anthropic(use, prices)),
            Busy(microsoft.Microsoft(city, self.stories, CopilotSeats(city, self.stories))),
            Busy(servicenow.ServiceNow(city, self._assists, today)),
        )
        self._server: Server | None = None
        self._live: Live | None = None
        self._intake: Intake | None = None

    def __enter__(self) -> Self:
        self._server = Server(_app(self._answer)).start()
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._intake is not None:
            self._intake.close()
        if self._server is not None:
            self._server.stop()

    @property
    def address(self) -> str:
        """Where all vendors of the city answer, for example `http://127.0.0.1:41234`.

        Raises:
            ConfigurationError: outside the `with` statement.
        """
        if self._server is None:
            raise ConfigurationError("the simulated vendors do not run yet; use the simulator in a with statement")
        return self._server.base

    def collector_settings(self) -> dict[str, object]:
        """The collector's settings that make it read this city: overrides for `Settings.model_copy(update=…)`."""
        workspaces = self._knows.anthropic.workspaces
        return {
            "sources": ("anthropic", "microsoft_copilot", "servicenow"),
            "anthropic_url": self.address,
            "anthropic_key": SecretStr(anthropic.KEY),
            "anthropic_default_workspace": next((one.id for one in workspaces if one.default), None),
            "microsoft_url": self.address,
            "microsoft_login_url": self.address,
            "microsoft_tenant": self._knows.microsoft.tenant_id,
            "microsoft_client_id": microsoft.CLIENT_ID,
            "microsoft_client_secret": SecretStr(microsoft.CLIENT_SECRET),
            "servicenow_url": self.address,
            "servicenow_client_id": servicenow.CLIENT_ID,
            "servicenow_client_secret": SecretStr(servicenow.CLIENT_SECRET),
        }

    def collect_past(self, settings: Settings, tell: Callable[[str], None] = lambda _text: None) -> int:
        """Let the real collector read what only the past could tell it (see `past.py`), into the store of `settings`.

        To be called once, before the program is built. Returns how many days could not be read: an outage is a story.
        """
        past = SteppedClock(self._present.now())
        with self._on(past):
            return collect_past(settings, self.stories, past, tell)

    @property
    def model_with_late_tariff(self) -> str:
        return self._knows.anthropic.model_with_late_tariff

    @property
    def model_without_tariff(self) -> str:
        return self._knows.anthropic.model_without_tariff

    def register(self, settings: Settings) -> CityRegister:
        """The versions of the city's register, with the pseudonyms of the collector of `settings`.

        Raises:
            RegisterRefusedError: the folder has problems.
        """
        return CityRegister(self._folder, self.stories, self.model_with_late_tariff, settings, self._present)

    def accounts(self, settings: Settings) -> Sequence[DemoAccount]:
        """Make accounts for people of the city, once; after the program was built, which makes their database.

        Raises:
            ConfigurationError: there are accounts already.
        """
        return make_accounts(settings, self._present)

    def begin_incidents(self, settings: Settings) -> None:
        """Open the city's incidents; before `push_history`, so that the log knows them when `go_on` tells more."""
        open_incidents(settings, self._present, self.stories.today)

    def go_on(
        self,
        register: CityRegister,
        settings: Settings,
        bus: EventBus,
        tell: Callable[[str], None] = lambda _text: None,
    ) -> None:
        """Let happen what becomes known after the past: closings, a late price, a reorganisation, an invoice.

        Also, whom the incidents were told.

        To be called when the program has caught up with the past, and while it runs.

        Raises:
            ConfigurationError: the program does not keep up.
        """
        tell_of_incidents(settings, self._present, self.stories.today)
        close_months(settings, bus, self._present, tell)
        tell("prices, a reorganisation and an invoice become known")
        register.publish_later(bus)
        invoice = self._billing.invoice(self._present.now())
        if invoice is not None:
            take_in_invoice(settings, bus, self._present, invoice)

    def end(self, settings: Settings) -> None:
        """Close the incident that is over; when the program has caught up with `go_on`."""
        close_incidents(settings, self._present)

    def push_history(self, address: str, tell: Callable[[str], None] = lambda _text: None) -> int:
        """Post what the applications had to say before today to the intake at `address`; how many events that was.

        Raises:
            ConfigurationError: the intake does not take them.
        """
        events = self._apps.events()
        ended = timestamp(datetime.combine(self.stories.today, time(), UTC))
        past = [event for event in events if event["time"] <= ended]
        self._live = Live(self._apps, self._assists, self.stories, [event for event in events if event["time"] > ended])
        self._intake = Intake(address)
        for sent in self._intake.post(past):
            tell(f"{sent:,} of {len(past):,} events of the city's applications sent")
        return len(past)

    def live_step(self, now: datetime) -> int:
        """Do a little of the present; how many events were posted. After `push_history`, every few seconds.

        Raises:
            ConfigurationError: the intake does not take them.
        """
        if self._live is None or self._intake is None:
            raise ConfigurationError("the city has no past yet; call push_history before live_step")
        events = self._live.step(now)
        return max(self._intake.post(events), default=0)

    @contextmanager
    def _on(self, clock: Clock) -> Iterator[None]:
        self._clock = clock
        try:
            yield
        finally:
            self._clock = self._present

    def _answer(self, method: str, path: str, request: "Asked") -> Reply:
        query, headers, body = request
        ask = Ask(method, path, query, headers, body, self.address, self._clock.now())
        try:
            found = (vendor(ask) for vendor in self.vendors)
            return next((reply for reply in found if reply is not None), as_json({"error": "no such path"}, 404))
        except RefusedError as refused:
            return refused.reply


Asked = tuple[list[tuple[str, str]], Mapping[str, str], bytes]
"""Query, headers and body of a request."""


def _app(answer: Callable[[str, str, Asked], Reply]) -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def any_vendor(request: Request, path: str) -> Response:
        asked = (request.query_params.multi_items(), dict(request.headers), await request.body())
        reply = answer(request.method, f"/{path}", asked)
        return Response(reply.body, reply.status, headers=dict(reply.headers))

    return app
