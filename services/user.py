"""`valvomo user`: who may sign in, and with which roles. Every change of a role becomes an entry of the audit log.

Logins are given to the collector's table of people only; what is kept of an account names a pseudonym.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.table import Table

from services.shared.bus.open import open_bus
from services.shared.clock import SystemClock
from services.shared.errors import ConfigurationError, PlatformError
from services.shared.events import TOPICS
from services.shared.events.envelope import Id, Name
from services.shared.periods import timestamp
from services.shared.relay import BusRelay
from services.shared.sessions import Grant
from services.shared.settings import Settings, load_settings
from services.shared.store import Store
from services.shared.store.open import open_store
from services.sign_in.adapters.accounts import Decided
from services.sign_in.domain.accounts import ROLES, Account, Change
from services.sign_in.door import Door, Persons
from services.sign_in.main import open_door
from services.usage_collector.adapters.people import open_people
from services.usage_collector.adapters.tables import METADATA
from services.usage_collector.people import People

app = typer.Typer()
user = typer.Typer(no_args_is_help=True, help="Who may sign in, and with which roles; every change is in the log.")
role = typer.Typer(no_args_is_help=True, help="Give a role, or take it away.")
user.add_typer(role, name="role")
app.add_typer(user, name="user")

_OLD_PSEUDONYM = "p-"

Login = Annotated[str, typer.Argument(help="the person's login, usually their e-mail address; or a pseudonym (p-…)")]
RoleName = Annotated[str, typer.Option("--role", help=f"{', '.join(ROLES)}")]
Unit = Annotated[str | None, typer.Option(help="the role holds in this unit and below; left out: everywhere")]
Approver = Annotated[str, typer.Option(help="the role that has decided it, for example head-of-audit; no name")]
Reason = Annotated[str, typer.Option(help="why; it is kept in the log, so name nobody")]
AsJson = Annotated[bool, typer.Option("--json", help="print the result as JSON")]


@dataclass(frozen=True, slots=True)
class _Opened:
    door: Door
    people: People
    settings: Settings

    def person(self, login: str) -> str:
        """The pseudonym of who has a login.

        Raises:
            ConfigurationError: nobody has. The sentence does not repeat the login.
        """
        found = login if login.startswith(_OLD_PSEUDONYM) else self.people.find(login)
        if found is None or self.door.account(found) is None:
            raise ConfigurationError("found nobody with that login; make an account with: valvomo user add LOGIN")
        return found


@user.command()
def add(
    login: Login,
    roles: Annotated[list[str], typer.Option("--role", help=f"{', '.join(ROLES)}; may be repeated")],
    approver: Approver,
    reason: Reason,
    *,
    unit: Unit = None,
    directory_only: Annotated[
        bool, typer.Option("--directory-only", help="no password: this person comes through the city's directory")
    ] = False,
) -> None:
    """Make an account. A password for a single use is shown once; it must be changed within seven days.

    Exit codes: 0 made, 2 it could not be made.

    Example: valvomo user add aino.virtanen@example.org --role reviewer --unit kymp --approver head-of-ai --reason 'new'
    """
    if login.startswith(_OLD_PSEUDONYM):
        raise ConfigurationError("found a pseudonym; expected the login that this person will type")
    grants = [_grant(one, unit) for one in roles]
    with _opened() as opened:
        made, once = opened.door.add(login, grants, _decided(approver, reason), password=not directory_only)
    _say(f"{made.person} has an account with: {', '.join(sorted(roles))}")
    if once is not None:
        _say(f"Give this password to its holder now, it is stored nowhere and works once: {once}")


@user.command(name="list")
def list_users(
    names: Annotated[bool, typer.Option("--names", help="show who they are, too: personal data")] = False,
    as_json: AsJson = False,
) -> None:
    """Show accounts by pseudonym, with their roles.

    Exit codes: 0 shown, 1 shown, and a row of accounts was written by somebody else than this program, 2 not shown.

    Example: valvomo user list --json
    """
    with _opened() as opened:
        accounts, forged = opened.door.everybody()
        rows = [_shown(one, opened.people.who(one.person) if names else None) for one in accounts]
    if as_json:
        print(json.dumps({"accounts": rows, "forged": forged}, indent=1))  # noqa: T201
    else:
        Console(soft_wrap=True).print(_table(rows))
    if forged:
        _say(f"{forged} accounts are forged and refused; see valvomo doctor")
        raise typer.Exit(1)


@user.command()
def disable(login: Login, approver: Approver, reason: Reason) -> None:
    """Let a person in no more, at once; their sessions end. The log is told that their roles went.

    Exit codes: 0 done, 2 it could not be done.

    Example: valvomo user disable aino.virtanen@example.org --approver head-of-ai --reason 'left the city'
    """
    with _opened() as opened:
        opened.door.disable(opened.person(login), _decided(approver, reason), disabled=True)
    _say("disabled; every session of theirs has ended")


@user.command()
def enable(login: Login, approver: Approver, reason: Reason) -> None:
    """Let a person in again who was disabled, with the roles from before; the log is told.

    Exit codes: 0 done, 2 it could not be done.

    Example: valvomo user enable aino.virtanen@example.org --approver head-of-ai --reason 'back from leave'
    """
    with _opened() as opened:
        opened.door.disable(opened.person(login), _decided(approver, reason), disabled=False)
    _say("enabled")


@user.command()
def password(
    login: Login,
    approver: Approver,
    reason: Reason,
    *,
    stdin: Annotated[
        bool, typer.Option("--password-stdin", help="read it from standard input instead of making one")
    ] = False,
) -> None:
    """Give a person another password for a single use; their sessions end, and the log is told.

    Exit codes: 0 given, 2 it could not be given.

    Example: valvomo user password aino.virtanen@example.org --approver head-of-ai --reason 'forgotten'
    """
    given = sys.stdin.readline().rstrip("\r\n") if stdin else None
    decided = _decided(approver, f"a password for one use was given: {reason}")
    with _opened() as opened:
        once = opened.door.give_password(opened.person(login), given, decided)
    if once is not None:
        _say(f"Give this password to its holder now, it is stored nowhere and works once: {once}")
    else:
        _say("the password is set; its holder must change it at the next sign-in")


@user.command()
def sessions(
    login: Login,
    end: Annotated[bool, typer.Option("--end", help="end all of them, at once")] = False,
    as_json: AsJson = False,
) -> None:
    """Show where a person is signed in, or end all of it.

    Exit codes: 0 done, 2 it could not be done.

    Example: valvomo user sessions aino.virtanen@example.org --end
    """
    with _opened() as opened:
        person = opened.person(login)
        if end:
            _say(f"{opened.door.end_sessions(person)} sessions ended")
            return
        rows = [
            {"began": timestamp(one.made_at), "last_used": timestamp(one.seen_at), "how": one.how}
            for one in opened.door.sessions_of(person)
        ]
    if as_json:
        print(json.dumps(rows, indent=1))  # noqa: T201
    else:
        for row in rows:
            print(f"since {row['began']}, last used {row['last_used']}, by {row['how']}")  # noqa: T201


@role.command()
def grant(login: Login, role_name: RoleName, approver: Approver, reason: Reason, unit: Unit = None) -> None:
    """Give a role; it counts from the next sign-in.

    Exit codes: 0 given, 2 it could not be given.

    Example: valvomo user role grant aino.virtanen@example.org --role auditor --approver board --reason 'audit of 2026'
    """
    with _opened() as opened:
        done = opened.door.grant(opened.person(login), _grant(role_name, unit), _decided(approver, reason))
    _tell(done)


@role.command()
def revoke(login: Login, role_name: RoleName, approver: Approver, reason: Reason, unit: Unit = None) -> None:
    """Take a role away that was given here; the person's sessions end. The log tells who decided it, and why.

    Exit codes: 0 taken, 2 it could not be taken.

    Example: valvomo user role revoke aino.virtanen@example.org --role auditor --approver board --reason 'audit is over'
    """
    with _opened() as opened:
        done = opened.door.revoke(opened.person(login), _grant(role_name, unit), _decided(approver, reason))
    _tell(done)


def _decided(approver: str, reason: str) -> Decided:
    """Who decided and why, as it can stand in the log.

    Raises:
        ConfigurationError: one of them is empty, too long, or has control characters.
    """
    try:
        return Decided(_ID.validate_python(approver), _NAME.validate_python(reason))
    except ValidationError:
        raise ConfigurationError(
            "found an approver or a reason that cannot stand in the log; expected 1 to 128 and 1 to 256 characters"
        ) from None


_ID: TypeAdapter[str] = TypeAdapter(Id)
_NAME: TypeAdapter[str] = TypeAdapter(Name)


def _grant(name: str, unit: str | None) -> Grant:
    found = next((one for one in ROLES if one == name), None)
    if found is None:
        raise ConfigurationError(f"found another role than there is; expected one of {', '.join(ROLES)}")
    try:
        return Grant(found, None if unit is None else _ID.validate_python(unit))
    except ValidationError:
        raise ConfigurationError("found a unit that is no id; expected one of the register's units") from None


@contextmanager
def _opened() -> Iterator[_Opened]:
    """Accounts and people; what was told of roles goes to the bus at the end."""
    settings, clock = load_settings(), SystemClock()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with closing(open_store(settings, "collector", METADATA)) as collector:
        people = open_people(settings.data_dir, collector)
        with open_door(settings, Persons(people.find, people.pseudonym), clock) as (door, store):
            yield _Opened(door, people, settings)
            _relay(settings, store)


def _relay(settings: Settings, store: Store) -> None:
    """What cannot go now waits for the program."""
    if not store.pending(["bus"], SystemClock().now(), 1):
        return
    try:
        with closing(open_bus(settings, SystemClock())) as bus:
            bus.ensure_topics(TOPICS)
            store.bind(bus.cluster_id)
            while BusRelay(store, bus, SystemClock()).step() == 0.0:
                pass
    except PlatformError as error:
        _say(f"the log is told later, by the running program: {error}")


def _shown(found: Account, name: str | None) -> dict[str, Any]:
    held = sorted(found.held, key=lambda one: (one.grant.role, one.grant.unit or "", one.by))
    row: dict[str, Any] = {
        "person": found.person,
        "roles": [{"role": one.grant.role, "unit": one.grant.unit, "by": one.by} for one in held],
        "password": "none" if found.password is None else "one-time" if found.one_time_until else "own",
        "disabled": found.disabled_at is not None,
        "changed_at": timestamp(found.changed_at),
    }
    return row if name is None else {**row, "name": name}


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(title="Accounts", title_justify="left")
    for name in ("person", "roles", "password", "state"):
        table.add_column(name)
    for row in rows:
        roles = ", ".join(one["role"] + (f" in {one['unit']}" if one["unit"] else "") for one in row["roles"])
        table.add_row(row.get("name", row["person"]), roles, row["password"], "disabled" if row["disabled"] else "")
    return table


def _tell(done: Sequence[Change]) -> None:
    if not done:
        _say("nothing changed: it was so before, or the city's directory gives this role")
    for one in done:
        _say(f"{one.change}: {one.grant.role}{f' in {one.grant.unit}' if one.grant.unit else ''}")


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)  # noqa: T201  # for the person at the terminal
