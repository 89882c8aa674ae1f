"""Whether accounts and the audit log tell the same of roles: what somebody wrote into a database by hand shows here."""

from collections.abc import Iterator
from contextlib import closing

from services.audit_log.adapters.roles import granted
from services.audit_log.adapters.tables import METADATA as LOG
from services.shared.sessions import Grant
from services.shared.settings import Settings
from services.shared.store.open import open_store
from services.sign_in.adapters.accounts import everybody, grants_of
from services.sign_in.adapters.tables import METADATA as ACCOUNTS
from services.sign_in.main import key_file, known_sealer


def is_kept_here(settings: Settings) -> bool:
    """Whether accounts, their key and the log are where this shell's settings look; nothing is made by looking."""
    files = [key_file(settings)]
    if settings.store.get_secret_value() == "sqlite":
        files += [settings.data_dir / name for name in ("sign_in.db", "log.db")]
    return all(one.exists() for one in files)


def role_differences(settings: Settings) -> Iterator[str]:
    """A sentence for each role that only one of them tells, and for forged rows; by pseudonym.

    A role that was given a moment ago is on its way to the log.

    Raises:
        PlatformError: a database or the key file cannot be used.
    """
    with closing(open_store(settings, "sign_in", ACCOUNTS)) as store, store.reading() as connection:
        accounts, forged = everybody(connection, known_sealer(settings, store))
    with closing(open_store(settings, "log", LOG)) as store, store.reading() as connection:
        told = granted(connection)
    held = grants_of(accounts)
    if forged:
        yield (
            f"{forged} accounts were written by somebody else than this program, and are refused; find out who can "
            "write into the database, and make them anew with valvomo user add"
        )
    for person, grant in sorted(held - told.keys(), key=_order):
        yield (
            f"{person} has the role {_named(grant)}, and the audit log does not know who gave it; if it was not given "
            "just now, take it away: valvomo user role revoke"
        )
    for person, grant in sorted(told.keys() - held, key=_order):
        yield (
            f"the audit log says (entry {told[person, grant]}) that {person} has the role {_named(grant)}, and the "
            "account does not have it: somebody took it away without telling; give it back: valvomo user role grant"
        )


def _named(grant: Grant) -> str:
    return grant.role if grant.unit is None else f"{grant.role} in {grant.unit}"


def _order(one: tuple[str, Grant]) -> tuple[str, str, str]:
    person, grant = one
    return person, grant.role, grant.unit or ""
