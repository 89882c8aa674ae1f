"""`valvomo audit`: take the evidence out, verify it, tell the key."""

import typer

from services.audit_log.cli import ai_register
from services.audit_log.cli.anchoring import anchors
from services.audit_log.cli.exporting import export
from services.audit_log.cli.holding import hold
from services.audit_log.cli.incidents import incident
from services.audit_log.cli.keys import keys
from services.audit_log.cli.proving import prove
from services.audit_log.cli.pruning import prune_log
from services.audit_log.cli.querying import query
from services.audit_log.cli.rebuilding import rebuild_projections
from services.audit_log.cli.reporting import report
from services.audit_log.cli.restoring import restore_log
from services.audit_log.cli.sampling import sample
from services.audit_log.cli.succeeding import succeed
from services.audit_log.cli.verifying import verify_export

app = typer.Typer()
audit = typer.Typer(no_args_is_help=True, help="Take the evidence out, verify it, tell the log's key.")
app.add_typer(audit, name="audit")
app.add_typer(ai_register.app, name="ai-register")
app.add_typer(incident, name="incident")

audit.command("anchors")(anchors)
audit.command("export")(export)
audit.command("proof")(prove)
audit.command("query")(query)
audit.command("report")(report)
audit.command("restore")(restore_log)
audit.command("succeed")(succeed)
audit.command("verify")(verify_export)
audit.add_typer(keys, name="key")
audit.command("rebuild")(rebuild_projections)
audit.command("prune")(prune_log)
audit.add_typer(hold, name="hold")
audit.add_typer(sample, name="sample")
