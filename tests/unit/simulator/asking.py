"""What the simulator's tests share: a city on a fixed day, and a way to ask its vendors without HTTP."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import lru_cache
from urllib.parse import parse_qsl, urlsplit

from services.shared.errors import SourceRejectedError, TransientError
from services.simulator.assists import AssistUse
from services.simulator.city import EXAMPLE_CITY, City, load_city
from services.simulator.claude import ClaudeUse, Prices
from services.simulator.exchange import Ask, RefusedError, Reply, Vendor
from services.simulator.seats import CopilotSeats
from services.simulator.stories import Stories
from services.simulator.vendors.anthropic import KEY, Anthropic
from services.simulator.vendors.microsoft import TOKEN as GRAPH_TOKEN
from services.simulator.vendors.microsoft import Microsoft
from services.simulator.vendors.servicenow import TOKEN as INSTANCE_TOKEN
from services.simulator.vendors.servicenow import ServiceNow
from services.usage_collector.source import Answer, Identity, Query

TODAY = date(2026, 11, 22)
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
BASE = "http://vendors.invalid"
SIGNED_IN: Mapping[str, Mapping[str, str]] = {
    "/v1/": {"x-api-key": KEY, "anthropic-version": "2023-06-01"},
    "/v1.0": {"authorization": f"Bearer {GRAPH_TOKEN}"},
    "/api/": {"authorization": f"Bearer {INSTANCE_TOKEN}"},
}
"""The headers of somebody who may ask, by how the path begins."""


@lru_cache(maxsize=1)
def example() -> City:
    return load_city(EXAMPLE_CITY)


def stories(days: int = 120, seed: int = 1) -> Stories:
    return Stories(seed, days, TODAY)


def vendors(told: Stories, assists: AssistUse | None = None) -> tuple[Vendor, ...]:
    """Fresh vendors of the example city: nothing is remembered from an earlier question."""
    city = example()
    return (
        Anthropic(ClaudeUse(city, told), Prices(city.tariffs)),
        Microsoft(city, told, CopilotSeats(city, told)),
        ServiceNow(city, assists or AssistUse(city, told), told.today),
    )


@dataclass
class Fetching:
    """`Fetch` that asks the vendors directly; counts its questions."""

    told: Stories
    now: datetime = NOW
    vendors: tuple[Vendor, ...] = ()
    asked: list[Ask] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.vendors = self.vendors or vendors(self.told)

    def at(self, now: datetime) -> "Fetching":
        """The same vendors at another moment."""
        return replace(self, now=now, asked=[])

    def get(self, path: str, query: Query = (), headers: Mapping[str, str] | None = None) -> Answer:
        return _answer(self.ask("GET", path, query, headers))

    def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        return _answer(self.ask("POST", path, (), headers, body))

    def close(self) -> None: ...

    def ask(
        self,
        method: str,
        path: str,
        query: Query = (),
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Reply:
        """The vendors' answer, refusals as they are."""
        path, query = _whole(path, query)
        signed = next((given for begin, given in SIGNED_IN.items() if path.startswith(begin)), {})
        sent = {**signed, **{name.lower(): value for name, value in (headers or {}).items()}}
        ask = Ask(method, path, query, sent, body, BASE, self.now)
        self.asked.append(ask)
        try:
            return next(reply for vendor in self.vendors if (reply := vendor(ask)) is not None)
        except RefusedError as refused:
            return refused.reply


def _whole(path: str, query: Query) -> tuple[str, Query]:
    """Path and query of a whole address, as a vendor gives it for a next page."""
    parts = urlsplit(path)
    return parts.path, [*parse_qsl(parts.query), *query]


def _answer(reply: Reply) -> Answer:
    if reply.status in {429, 503}:
        raise TransientError(f"answered {reply.status}")
    if reply.status != 200:
        raise SourceRejectedError(f"answered {reply.status}: {reply.body.decode()}")
    return Answer(reply.body, reply.headers)


def who(identities: Collection[Identity]) -> Mapping[Identity, str]:
    """Pseudonyms that tell the test who it was."""
    return {identity: "p-" + identity[0].partition("@")[0] for identity in identities}
