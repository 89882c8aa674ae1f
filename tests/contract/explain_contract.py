"""Every charge can be explained, on every store, and whoever reckons its steps again comes to the ledger's amount."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import pytest

from services.cost_alerts.adapters.details import Details, Wanted
from services.cost_alerts.adapters.explain import Explainer
from services.cost_alerts.handlers.publishing import charge_id
from tests.contract.exports_contract import live
from tests.contract.ledger_world import OCTOBER, World

MakeWorld = Callable[[], World]
Document = dict[str, Any]
NANO = 10**9


def nearest(value: Fraction) -> Fraction:
    return Fraction(round(value * NANO), NANO)


def reckoned(pieces: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Fraction]:
    """The sum of the pieces, step by step, by nothing but what the document says."""
    totals: dict[str, Fraction] = {}
    for piece in pieces:
        for name, result in _reckoned(piece).items():
            totals[name] = totals.get(name, Fraction(0)) + result
    return totals


def _reckoned(piece: Sequence[Mapping[str, Any]]) -> dict[str, Fraction]:
    value, results = Fraction(0), dict[str, Fraction]()
    for step in piece:
        by = Fraction(step.get("by", "0"))
        if step["do"] == "round":
            results[step["of"]] = nearest(value)
        elif step["do"] == "split":
            results = {name: _share(step, whole) for name, whole in results.items()}
        elif step["do"] == "day_of":
            value = nearest(value * (step["at"] + 1) / by) - nearest(value * step["at"] / by)
        else:
            value = {
                "take": lambda _value, by: by,
                "times": lambda value, by: value * by,
                "over": lambda value, by: value / by,
                "plus": lambda value, by: value + by,
                "less": lambda value, by: value - by,
                "from": lambda value, by: by - value,
                "up_to": lambda value, by: -(-value // by) * by,
                "nearest": lambda value, _by: nearest(value),
            }[step["do"]](value, by)
    return results


def _share(step: Mapping[str, Any], whole: Fraction) -> Fraction:
    weights = [int(weight) for weight in step["weights"]]
    sign = -1 if whole < 0 else 1
    parts = [sign * (abs(whole * NANO) * weight // sum(weights)) for weight in weights]
    left = whole * NANO - sum(parts)
    return Fraction(parts[step["mine"]] + (left if step["mine"] == step["rest"] else 0), NANO)


def current(world: World) -> list[str]:
    """The ids of all charges that stand."""
    with world.service.store.reading() as connection:
        details = Details(connection)
        found = [
            charge_id(one)
            for month in (OCTOBER, OCTOBER.next)
            for wanted in [Wanted.of(connection, month, "incurred", None)]
            for one in (*details.of_readings(wanted), *details.of_periods(wanted))
        ]
    assert len(found) == len(set(found))
    return found


def check_every_charge(world: World) -> list[Document]:
    """Explain every charge that stands and reckon each again."""
    explainer = Explainer(world.service.store)
    documents = [explainer.charge(name).document for name in current(world)]
    for one in documents:
        found = reckoned(one["arithmetic"]["pieces"])
        for name in ("amount", "eur"):
            if one[name] is not None:
                assert found.get(name) == Fraction(one[name]), one
        assert one["arithmetic"]["adds_up"], one
        assert one["reason"] or one["eur"] is not None
    return documents


class ExplainContract:
    """Rules of explaining. A test class for a store gives `make_world`."""

    @pytest.fixture
    def world(self, make_world: MakeWorld) -> Iterator[World]:
        made = make_world()
        live(made)
        yield made
        made.close()

    def test_every_charge_is_explained_and_reckoned_again(self, world: World) -> None:
        documents = check_every_charge(world)
        assert {one["kind"] for one in documents} >= {"reading", "seats", "pool", "fee", "tariff"}
        says = [step["says"] for one in documents for piece in one["arithmetic"]["pieces"] for step in piece]
        for words in ("rounded up to whole multiples of 6", "7 % off", "parted by fixed", "1 reading has"):
            assert any(words in text for text in says), words
