"""What operations see of the ledger: gauges made from its store, now and for days past."""

from services.cost_alerts.adapters.metrics.alerts import AlertMetrics
from services.cost_alerts.adapters.metrics.forecasts import ForecastMetrics
from services.cost_alerts.adapters.metrics.ledger import LedgerMetrics
from services.cost_alerts.adapters.metrics.numbers import euro
from services.cost_alerts.adapters.metrics.risks import RiskMetrics

__all__ = ["AlertMetrics", "ForecastMetrics", "LedgerMetrics", "RiskMetrics", "euro"]
