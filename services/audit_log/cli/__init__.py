"""`valvomo audit`: take the evidence out, verify it, tell the key."""

import typer

from services.audit_log.cli.exporting import export
from services.audit_log.cli.keys import print_key
from services.audit_log.cli.verifying import verify_export

app = typer.Typer()
audit = typer.Typer(no_args_is_help=True, help="Take the evidence out, verify it, tell the log's key.")
app.add_typer(audit, name="audit")

audit.command("export")(export)
audit.command("verify")(verify_export)
audit.command("key")(print_key)
