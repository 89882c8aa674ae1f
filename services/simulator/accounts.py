"""People of the city who can sign in to a demo, each with a password of their own that is kept nowhere in clear."""

import secrets
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from services.shared.clock import Clock
from services.shared.sessions import Grant
from services.shared.settings import Settings
from services.shared.store.open import open_store
from services.sign_in.adapters.accounts import Decided
from services.sign_in.door import Door, Entered, Persons
from services.sign_in.main import open_door
from services.usage_collector.adapters.people import open_people
from services.usage_collector.adapters.tables import METADATA

_PASSWORD_BYTES = 15
_HERE = "this machine"
_DECIDED = Decided("city-board", "an account of the demo")


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """Who may sign in, and what for. `password`: made for this demo."""

    what: str
    login: str
    role: str
    unit: str | None
    password: str


_WHO: Sequence[tuple[str, str, Grant]] = (
    ("reviewer", "person-0401@kaupunki.example", Grant("reviewer", "tyollisyyspalvelut")),
    ("editor", "person-0101@kaupunki.example", Grant("reviewer", "viestinta")),
    ("auditor", "auditor@kaupunki.example", Grant("auditor")),
    ("admin", "admin@kaupunki.example", Grant("admin")),
)
"""What they are, their login and role. The first two have mandates in the city's register; a role of editor there is
none: it is the capacity that the editor's mandate gives."""


def make_accounts(settings: Settings, clock: Clock) -> Sequence[DemoAccount]:
    """Make the accounts of a new demo, with the pseudonyms that these people have in its register.

    Raises:
        ConfigurationError: an account is there already.
    """
    with closing(open_store(settings, "collector", METADATA)) as collector:
        people = open_people(settings.data_dir, collector)
        with open_door(settings, Persons(people.find, people.pseudonym), clock) as (door, _):
            return [_made(door, what, login, grant) for what, login, grant in _WHO]


def _made(door: Door, what: str, login: str, grant: Grant) -> DemoAccount:
    """An account whose password its holder has chosen already: a newcomer need not choose one first."""
    account, once = door.add(login, [grant], _DECIDED, password=True)
    own = secrets.token_urlsafe(_PASSWORD_BYTES)
    changed = door.change_password(account.person, once or "", own, _HERE)
    assert isinstance(changed, Entered), "a new account's password can be changed"
    door.end_sessions(account.person)
    return DemoAccount(what, login, grant.role, grant.unit, own)
