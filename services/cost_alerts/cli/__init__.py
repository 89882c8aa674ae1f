"""The ledger's commands: `report`, `budgets`, `forecast`, `postings`, `invoices`, `pools`, and those of `ledger`."""

import typer

from services.cost_alerts.cli.alerts import app as alerts_app
from services.cost_alerts.cli.budgets import app as budgets_app
from services.cost_alerts.cli.forecast import app as forecast_app
from services.cost_alerts.cli.history import app as history_app
from services.cost_alerts.cli.invoices import app as invoices_app
from services.cost_alerts.cli.ledger import app as ledger_app
from services.cost_alerts.cli.metrics import app as metrics_app
from services.cost_alerts.cli.postings import app as postings_app
from services.cost_alerts.cli.report import app as report_app
from services.cost_alerts.cli.risks import app as risks_app
from services.cost_alerts.cli.value import app as value_app
from services.cost_alerts.cli.whatif import app as whatif_app

__all__ = ["app", "ledger_app"]

app = typer.Typer()
app.add_typer(ledger_app, name="ledger")
app.add_typer(forecast_app, name="forecast")
app.add_typer(alerts_app, name="alerts")
app.add_typer(metrics_app, name="metrics")
for commands in (report_app, budgets_app, postings_app, invoices_app, history_app, whatif_app, value_app, risks_app):
    app.add_typer(commands)
