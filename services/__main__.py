"""The one command line: `valvomo --help` lists what it does.

Exit codes: 0 done, 1 done and something needs a person, 2 could not be done (wrong use or wrong settings), 130
interrupted; `valvomo audit verify` has its own, told by its help.
"""

import os
import sys
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

from services import deadletters, preparing
from services.audit_log.cli import app as audit_app
from services.cost_alerts.cli import app as cost_app
from services.cost_alerts.cli import ledger_app
from services.demo import app as demo_app
from services.doctor import app as doctor_app
from services.embedded import BUILDERS, OWN_PORTS, Program, wait_for_signal
from services.explain.cli import explain
from services.person import app as person_app
from services.shared.consumer import relax_garbage_collector
from services.shared.errors import PlatformError
from services.shared.logs import configure_logs
from services.shared.settings import load_settings
from services.usage_collector.cli import app as collector_app
from services.usage_collector.token_cli import app as token_app
from services.user import app as user_app
from services.witness.cli import app as witness_app

app = typer.Typer(
    name="valvomo",
    help="What AI costs a city, who pays, and which of its outputs nobody reviewed.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(demo_app)
app.add_typer(doctor_app)
app.add_typer(collector_app)
app.add_typer(cost_app)
app.add_typer(audit_app)
app.add_typer(witness_app)
ledger_app.command()(explain)
app.add_typer(person_app)
app.add_typer(deadletters.app, name="dead-letters")
app.add_typer(preparing.app, name="store")
app.add_typer(token_app, name="token")
app.add_typer(user_app)


class Part(StrEnum):
    """What `run` runs."""

    ALL = "all"
    USAGE_COLLECTOR = "usage-collector"
    COST_ALERTS = "cost-alerts"
    AUDIT_LOG = "audit-log"


@app.command()
def run(part: Annotated[Part, typer.Argument(help="all three services, or one of them")] = Part.ALL) -> None:
    """Run the program until it is asked to stop: all on one port, or one service on its own.

    Example: VALVOMO_BUS=kafka://127.0.0.1:9092 VALVOMO_STORE=postgresql://… valvomo run cost-alerts

    Exit codes: 0 it was asked to stop, 2 it could not be started.
    """
    alone = part is not Part.ALL
    settings = load_settings()
    if alone and "port" not in settings.model_fields_set:
        settings = settings.model_copy(update={"port": OWN_PORTS[part]})
    configure_logs(settings.log_format, settings.log_level)
    with Program.build(settings, (part,) if alone else tuple(BUILDERS)) as program:
        Console(stderr=True).print(f"valvomo {part} listens on {program.address}; stop it with Ctrl-C")
        wait_for_signal()


def main() -> None:
    """Run the command line; an error of ours, or the machine's, is one sentence on standard error and exit code 2."""
    relax_garbage_collector()
    try:
        app(prog_name="valvomo")
    except PlatformError as error:
        _refuse(str(error))
    except BrokenPipeError:  # who read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _refuse(f"{where}{error.strerror or error}; expected a place with room that may be read and written")


def _refuse(sentence: str) -> None:
    print(f"valvomo: {sentence}", file=sys.stderr)  # noqa: T201  # the person at the terminal reads it
    sys.exit(2)


if __name__ == "__main__":
    main()
