"""`valvomo token new`: a fresh token, and the entry that lets it in."""

from datetime import date
from typing import Annotated

import typer

from services.shared.access import new_token
from services.shared.clock import SystemClock
from services.shared.errors import ConfigurationError

app = typer.Typer(help="Tokens for who sends and reads.", no_args_is_help=True)


@app.callback()
def token() -> None:
    """Tokens for who sends and reads."""


@app.command()
def new(
    token_id: Annotated[str, typer.Argument(help="names the token in the file, for example library-chatbot")],
    *,
    scope: Annotated[list[str] | None, typer.Option(help="events, otlp, metrics or log; may be repeated")] = None,
    system: Annotated[list[str] | None, typer.Option(help="a system it may report; may be repeated")] = None,
    source: Annotated[list[str] | None, typer.Option(help="a source it may use, a final * matches the rest")] = None,
    role: Annotated[list[str] | None, typer.Option(help="viewer, finance, reviewer, auditor or admin")] = None,
    otlp_purpose: Annotated[
        str, typer.Option(help="what its OpenTelemetry readings are for: telemetry, attribution or billing")
    ] = "telemetry",
    expires_on: Annotated[str | None, typer.Option(help="first day (UTC) on which it is refused, YYYY-MM-DD")] = None,
) -> None:
    """Make a token: it is shown once, on standard error; its entry for VALVOMO_TOKENS_FILE goes to standard output.

    Example: valvomo token new library --scope events --system library-chatbot --source 'apps/library' >> tokens.yaml

    Exit codes: 0 made, 2 the rights are not such that a token can have them.
    """
    rights = {"scopes": scope, "systems": system, "sources": source, "roles": role, "expires_on": expires_on}
    given = {name: found for name, found in rights.items() if found}
    try:
        secret, entry = new_token(token_id, otlp_purpose=otlp_purpose, **given)
        _refuse_past(expires_on)
    except ConfigurationError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    typer.echo(f"Give this token to its holder now, it is stored nowhere: {secret}", err=True)
    typer.echo(entry, nl=False)


def _refuse_past(expires_on: str | None) -> None:
    """A token that nobody could ever use is a slip.

    Raises:
        ConfigurationError: the day has come already.
    """
    today = SystemClock().now().date()
    if expires_on and date.fromisoformat(expires_on) <= today:
        raise ConfigurationError(f"no token was made: found --expires-on {expires_on}; expected a day after {today}")
