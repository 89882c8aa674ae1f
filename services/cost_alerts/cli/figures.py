"""How commands write figures for whoever reads them at a terminal."""

from decimal import Decimal

from services.shared.money import from_nano

_CENT = Decimal("0.01")


def cents(nano: int) -> str:
    """10⁻⁹ euro in whole cents, half-even, with thousands apart."""
    return f"{from_nano(nano).quantize(_CENT):,f}"
