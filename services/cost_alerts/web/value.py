"""Value as a document for programs: what `valvomo value --json` prints and the interface answers."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from services.cost_alerts.adapters.value import Value
from services.cost_alerts.domain.value import CLASSES, Change, Group, Intensity, LicenceValue, UseValue, ValueMonth
from services.shared.money import as_text, nano_text


def value_document(found: Value) -> dict[str, Any]:
    """Money in euro and quantities as text; null where nothing is told, or too few persons are behind it."""
    return {
        "month": str(found.month),
        "first_day": str(found.first_day),
        "last_day": str(found.last_day),
        "use_cases": [_use(one) for one in found.uses],
        "licences": [_licence(one) for one in found.licences],
    }


def _use(one: UseValue) -> dict[str, Any]:
    benefit = one.use_case.benefit
    return {
        "use_case": one.use_case.id,
        "unit": one.use_case.unit,
        "project": one.use_case.project,
        "systems": list(one.use_case.systems),
        "costed_by": one.costed_by,
        "told": one.told,
        "benefit": None if benefit is None else benefit.model_dump(mode="json"),
        "eur": nano_text(one.eur_nano),
        "eur_per_result": nano_text(one.per_result_nano),
        "months": [_month(month) for month in one.months],
    }


def _month(one: ValueMonth) -> dict[str, Any]:
    return {
        "month": str(one.cost.month),
        "eur": nano_text(one.cost.eur_nano),
        "unpriced": one.cost.unpriced,
        "result": _text(one.result),
        "eur_per_result": nano_text(one.per_result_nano),
    }


def _licence(one: LicenceValue) -> dict[str, Any]:
    return {
        "system": one.system,
        "base": one.base,
        "meter": one.meter,
        "eur": nano_text(one.eur_nano),
        "eur_per_active_person": nano_text(one.per_active_nano),
        "users": _group(one.city),
        "units": [{"unit": unit, **_group(group)} for unit, group in one.units.items()],
        "paid_use": _intensity(one.paid),
        "base_use": _intensity(one.base_use),
        "change": _change(one.change),
    }


def _group(one: Group) -> dict[str, Any]:
    return {"persons": one.persons, "holders": one.holders, **{name: one.users[name] for name in CLASSES}}


def _intensity(one: Intensity) -> Mapping[str, Any]:
    return {"persons": one.persons, "per_person_in_30_days": _text(one.quantity)}


def _change(one: Change | None) -> Mapping[str, Any] | None:
    if one is None:
        return None
    return {
        "persons": one.persons,
        "base_before": _text(one.base_before),
        "base_after": _text(one.base_after),
        "paid_after": _text(one.paid_after),
    }


def _text(number: Decimal | None) -> str | None:
    return None if number is None else as_text(number)
