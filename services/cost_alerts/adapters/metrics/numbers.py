"""Where exact money becomes a gauge's float; for eyes only."""

from decimal import Decimal

from services.shared.money import from_nano


def euro(nano: int) -> float:
    """10⁻⁹ euro as a gauge's value: nearest float, about 15 digits."""
    amount: Decimal = from_nano(nano)
    return float(amount)


LIMITS = ("low", "mid", "high")
"""Of an estimate, as the label `limit` names them."""
