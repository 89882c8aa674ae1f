"""`valvomo witness`: the witness's own command line, inside the program's."""

from typing import Annotated

import typer

from services.witness.__main__ import main

app = typer.Typer()


@app.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True}, add_help_option=False, name="witness"
)
def witness(arguments: Annotated[list[str] | None, typer.Argument(help="see valvomo witness --help")] = None) -> None:
    """Cosign the checkpoints of another department's log: a witness (c2sp.org/tlog-witness).

    Exit codes: 0 done, 1 refused requests are kept, 2 could not be done.

    Example: valvomo witness --data /srv/witness --origin-key 'city.example/audit+7370cdd4+AQOh…'
    """
    raise typer.Exit(main(arguments or []))
