"""Risks from the ledger: what they are reckoned from, and the figures of today, made now and then and remembered."""

from services.cost_alerts.adapters.risks.watching import RiskFigures, RiskWatch, read_risks

__all__ = ["RiskFigures", "RiskWatch", "read_risks"]
