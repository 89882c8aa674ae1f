"""`valvomo store`: the databases of all services, as their administrator makes them."""

import json
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr
from rich.console import Console

from services.audit_log.adapters.tables import METADATA as LOG
from services.cost_alerts.adapters.tables import METADATA as LEDGER
from services.shared.errors import ConfigurationError
from services.shared.settings import Settings, load_settings
from services.shared.store.open import prepare_stores
from services.shared.store.roles import role_of
from services.sign_in.adapters.tables import METADATA as SIGN_IN
from services.usage_collector.adapters.tables import METADATA as COLLECTOR

AsJson = Annotated[bool, typer.Option("--json", help="print the result as JSON")]

app = typer.Typer(no_args_is_help=True, help="Make the databases, and the rights of the program's role in them.")


@app.callback()
def store() -> None:
    """Make the databases, and the rights of the program's role in them."""


@app.command()
def prepare(
    owner_url_file: Annotated[
        Path | None,
        typer.Option(
            help="a file with the address of the owner's role; default: VALVOMO_STORE_OWNER",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make or update the tables on PostgreSQL as their owner, and give the role in VALVOMO_STORE what it needs only.

    That role then adds to the log and cannot change or delete what is in it. It is made when it is missing. Run this
    before the first start and after each update of the program, with the program stopped; repeating it does no harm.

    Exit codes: 0 prepared, 2 could not be prepared.

    Example: VALVOMO_STORE=postgresql://valvomo_app:…@db/valvomo valvomo store prepare --owner-url-file owner.url
    """
    settings = _settings(owner_url_file)
    made, prepared = prepare_stores(
        settings, {"collector": COLLECTOR, "ledger": LEDGER, "log": LOG, "sign_in": SIGN_IN}
    )
    role = role_of(settings.store.get_secret_value()).name
    if as_json:
        schemas = [{"schema": one.service, "taken_over": list(one.taken_over)} for one in prepared]
        print(json.dumps({"role": role, "role_made": made, "schemas": schemas}))  # noqa: T201
        return
    screen = Console(soft_wrap=True, markup=False, highlight=False)
    for one in prepared:
        taken = f"; {len(one.taken_over)} things belonged to another role before" if one.taken_over else ""
        screen.print(f"schema {one.service}: up to date, and {role} may do what it needs{taken}")
    if made:
        screen.print(f"the role {role} was made")


def _settings(owner_url_file: Path | None) -> Settings:
    settings = load_settings()
    if owner_url_file is None:
        return settings
    try:
        address = owner_url_file.read_text().strip()
    except UnicodeDecodeError:
        raise ConfigurationError(f"{owner_url_file} is no text; expected one line with an address") from None
    return settings.model_copy(update={"store_owner": SecretStr(address)})
