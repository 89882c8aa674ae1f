"""What is to come, in SQL: what a forecast is made from, and the forecasts that were made."""

from services.cost_alerts.adapters.foresight.kept import SqlForecasts, pool_outlooks

__all__ = ["SqlForecasts", "pool_outlooks"]
