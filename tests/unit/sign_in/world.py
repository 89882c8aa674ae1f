"""A program of its own for each test: signing in, and a service whose routes decide something."""

import re
from collections.abc import Mapping
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from fastapi import APIRouter, Depends, Request
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry

from services.shared.access import Access, Token
from services.shared.bus.memory import MemoryBus
from services.shared.clock import SteppedClock
from services.shared.events import OUTCOMES, TOPICS, decode
from services.shared.events.outcomes import RoleChanged
from services.shared.forms import check_token_header, form_lists, form_of, holder_of, person_of
from services.shared.http import make_app
from services.shared.relay import BusRelay
from services.shared.sessions import Grant
from services.shared.settings import Settings, load_settings
from services.shared.store.open import open_store
from services.shared.tokens import digest_of
from services.sign_in.adapters.accounts import Decided
from services.sign_in.adapters.hashing import Hashing
from services.sign_in.adapters.tables import METADATA
from services.sign_in.door import Door, Persons
from services.sign_in.main import build, open_door
from services.usage_collector.people import normalised

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
LOGIN = "aino.virtanen@example.org"
PASSWORD = "kolme punaista kettua"
TOKEN = "vt_of-a-script"
LOCAL = "http://127.0.0.1:8600"
DECIDED = Decided("head-of-ai", "new colleague")
PAGE = {"accept": "text/html", "sec-fetch-site": "same-origin"}
"""What a browser sends with a page of ours."""


class KnownPersons:
    """Pseudonyms in memory."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def find(self, login: str) -> str | None:
        return self.known.get(normalised(login))

    def make(self, login: str, *also: str) -> str:
        names = [normalised(one) for one in (login, *also)]
        person = next((self.known[one] for one in names if one in self.known), f"p-{len(self.known):020x}")
        self.known.update(dict.fromkeys(names, person))
        return person

    def persons(self) -> Persons:
        return Persons(self.find, self.make)


class Deciding:
    """A service whose routes say who came, and decide something."""

    name = "deciding"

    def __init__(self) -> None:
        self.router = APIRouter()
        self.router.add_api_route("/page", self._who, methods=["GET"])
        self.router.add_api_route("/reviews", self._reviews, methods=["GET"])
        self.router.add_api_route("/reviews/decide", self._decide, methods=["POST"])
        self.router.add_api_route("/reviews/bulk", self._bulk, methods=["POST"])
        self.router.add_api_route("/api/v1/reviews/decide", self._decide_json, methods=["POST"])

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def problems(self) -> list[str]:
        return []

    def _who(self, request: Request) -> dict[str, Any]:
        found = holder_of(request)
        return {"person": found.person, "roles": sorted(found.roles), "units": sorted(found.units)}

    def _reviews(self, request: Request) -> dict[str, Any]:
        found = person_of(request, "reviewer", "auditor")
        return {"person": found.person, "units": sorted(found.units)}

    def _decide(self, request: Request, form: Mapping[str, str] = Depends(form_of)) -> dict[str, Any]:
        return {"person": person_of(request, "reviewer").person, "form": dict(form)}

    def _bulk(self, request: Request, form: Mapping[str, list[str]] = Depends(form_lists)) -> dict[str, Any]:
        return {"person": person_of(request, "reviewer").person, "form": dict(form)}

    def _decide_json(self, request: Request, _checked: None = Depends(check_token_header)) -> dict[str, Any]:
        return {"person": person_of(request, "reviewer").person}


class World:
    """The program, its database and its clock.

    Args:
        folder: of its database and key.
        guarded: with a tokens file, as on a network.
        before: a program that was here before, whose bus and persons are the same.
        hashing: None: fast, since most tests ask something else.
        now: where its clock stands.
        given: settings.
    """

    def __init__(
        self,
        folder: Path,
        *,
        guarded: bool = True,
        before: "World | None" = None,
        hashing: Hashing | None = None,
        now: datetime = NOW,
        **given: object,
    ) -> None:
        hashing = hashing or Hashing(8, 1)
        self.settings: Settings = load_settings(data_dir=folder, **given)
        self.clock = SteppedClock(now)
        self.known: KnownPersons = before.known if before else KnownPersons()
        self.bus: MemoryBus = before.bus if before else MemoryBus(self.clock, partitions=1)
        self.bus.ensure_topics(TOPICS)
        self._open = ExitStack()
        persons = self.known.persons()
        self.service = build(self.settings, self.bus, self.clock, CollectorRegistry(), persons=persons, hashing=hashing)
        self._open.callback(self.service.stop)
        door, self.store = self._open.enter_context(open_door(self.settings, persons, self.clock, hashing))
        self.door: Door = door
        tokens = [Token(id="script", sha256=digest_of(TOKEN), roles=("viewer", "reviewer"))] if guarded else None
        access = Access(
            tokens, self.clock, sessions=self.service.sessions, public_url=self.settings.public_url,
            sign_in_url=self.settings.sign_in_url,
        )  # fmt: skip
        self.app = make_app([self.service, Deciding()], CollectorRegistry(), access)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_unused: object) -> None:
        self._open.close()

    def browser(self) -> "Browser":
        """A browser of its own, without any cookie."""
        base = self.settings.public_url or LOCAL
        return Browser(TestClient(self.app, base_url=base, headers=PAGE, follow_redirects=False))

    def account(self, *grants: Grant, login: str = LOGIN, password: str | None = PASSWORD) -> str:
        """An account whose person has chosen a password; the pseudonym."""
        made, once = self.door.add(login, grants, DECIDED, password=password is not None)
        if password is not None:
            assert once is not None
            self.door.change_password(made.person, once, password, "127.0.0.1")
            self.door.end_sessions(made.person)
        return made.person

    def told(self) -> list[RoleChanged]:
        """The changes of roles on the bus."""
        while BusRelay(self.store, self.bus, self.clock).step() == 0.0:
            pass
        ends = self.bus.end_positions([OUTCOMES.name])
        records = [record for partition in ends for record in self.bus.read(partition, 0, 100)]
        events = [decode(record.value) for record in records]
        return [event for event in events if isinstance(event, RoleChanged)]

    def raw(self) -> Any:  # noqa: ANN401  # a store of accounts, as who writes by hand has it
        return self._open.enter_context(closing(open_store(self.settings, "sign_in", METADATA)))


class Browser:
    """Keeps cookies, reads forms."""

    def __init__(self, client: TestClient) -> None:
        self.client = client

    def get(self, path: str, **headers: str) -> Any:  # noqa: ANN401  # the client's own answer
        return self.client.get(path, headers=headers)

    def post(self, path: str, form: Mapping[str, str], **headers: str) -> Any:  # noqa: ANN401
        return self.client.post(path, data=form, headers=headers)

    def form_token(self, path: str) -> str:
        """The token in the form of a page."""
        page = self.get(path).text
        found = re.search(r'name="form_token" value="([^"]+)"', page)
        assert found, page
        return found[1]

    def sign_in(self, login: str = LOGIN, password: str = PASSWORD, next_page: str = "/page") -> Any:  # noqa: ANN401
        form = {"form_token": self.form_token("/sign-in"), "login": login, "password": password, "next": next_page}
        return self.post("/sign-in", form)

    def cookie(self, name: str = "valvomo") -> str | None:
        found: str | None = self.client.cookies.get(name)
        return found
