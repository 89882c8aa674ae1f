"""Every charge can be explained, on every store, and whoever reckons its steps again comes to the ledger's amount."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import Any

import pytest

from services.cost_alerts.adapters.details import Details, Wanted
from services.cost_alerts.adapters.explain import Explainer, NotFoundError
from services.cost_alerts.adapters.explaining.finding import Asked
from services.cost_alerts.handlers.publishing import charge_id
from services.shared.periods import Month
from tests.contract.closing_contract import close
from tests.contract.exports_contract import live
from tests.contract.invoices_contract import ESTIMATES, OVER, invoice
from tests.contract.ledger_world import BASE, OCTOBER, SOURCE, World, placed, reading, tariff

MakeWorld = Callable[[], World]
Document = dict[str, Any]
NANO = 10**9
MONTHS = [Month(2026, 3), Month(2026, 9), OCTOBER, OCTOBER.next, Month(2026, 12), Month(2027, 1), Month(2028, 2)]


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
            value = _done(step["do"], value, by)
    return results


def _done(do: str, value: Fraction, by: Fraction) -> Fraction:
    if do == "up_to":
        return -(-value // by) * by
    if do == "nearest":
        return nearest(value)
    if do == "over":
        return value / by
    return {"take": by, "times": value * by, "plus": value + by, "less": value - by, "from": by - value}[do]


def _share(step: Mapping[str, Any], whole: Fraction) -> Fraction:
    weights = [int(weight) for weight in step["weights"]]
    sign = -1 if whole < 0 else 1
    parts = [sign * (abs(whole * NANO) * weight // sum(weights)) for weight in weights]
    left = whole * NANO - sum(parts)
    return Fraction(parts[step["mine"]] + (left if step["mine"] == step["rest"] else 0), NANO)


def current(world: World) -> list[str]:
    """The ids of all charges that stand, of every month that a test has."""
    with world.service.store.reading() as connection:
        details = Details(connection)
        found = [
            charge_id(one)
            for month in MONTHS
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

    def test_a_figure_of_a_report_is_the_sum_of_the_charges_that_are_listed(self, world: World) -> None:
        explainer = Explainer(world.service.store)
        for unit, row in world.rows().items():
            found = explainer.figure(Asked(OCTOBER, unit=unit), limit=1_000)
            assert Fraction(found["eur"]) == Fraction(row["eur"])
            assert sum(Fraction(one["eur"] or 0) for one in found["shown"]) == Fraction(row["eur"])
            assert len(found["shown"]) == found["charges"]
        whole = explainer.figure(Asked(OCTOBER), limit=1_000)["shown"]
        assert [one["charge_id"] for one in explainer.figure(Asked(OCTOBER), skip=3, limit=4)["shown"]] == [
            one["charge_id"] for one in whole[3:7]
        ]
        sizes = [abs(Fraction(one["eur"] or 0)) for one in whole]
        assert sizes == sorted(sizes, reverse=True)
        day = explainer.figure(Asked(OCTOBER, day=date(2026, 10, 4), meter="messages"), limit=10)
        assert {(one["day"], one["meter"]) for one in day["shown"]} == {("2026-10-04", "messages")}

    def test_a_charge_is_found_by_how_its_id_begins_and_by_its_reading(self, world: World) -> None:
        explainer = Explainer(world.service.store)
        name = explainer.figure(Asked(OCTOBER), limit=1)["shown"][0]["charge_id"]
        assert explainer.charge(name[:12]).document == explainer.charge(name).document
        of_reading = explainer.reading("a")
        assert [one.document["meter"] for one in of_reading] == ["input_tokens", "output_tokens"]
        assert explainer.reading("a", SOURCE)[0].document == of_reading[0].document
        for wrong in ("0" * 64, "short", "zzzzzzzz"):
            with pytest.raises(NotFoundError, match="expected"):
                explainer.charge(wrong)
        for reading_id, source in (("unheard-of", None), ("a", "unheard-of")):
            with pytest.raises(NotFoundError, match="--source"):
                explainer.reading(reading_id, source)

    def test_every_version_tells_why_it_came_and_who_stands_behind_it(self, world: World) -> None:
        world.later(days=1)
        signs = {"author": "finance-1", "approver": "finance-2", "reason": "the vendor corrected its list"}
        version = world.register(tariff("input_tokens", "4.00", source="price list of November"), marker=signs)
        world.settle()
        world.later(days=1)
        world.publish(reading("a", 1, dimensions={"service_tier": "standard"}, consumed={
            "input_tokens": "2000000", "output_tokens": "100000"
        }))  # fmt: skip
        world.settle()
        [told, _] = Explainer(world.service.store).reading("a")
        first, second, third = told.document["versions"]
        assert first["because"] == "the reading was recorded"
        assert (second["register_version"], second["because"]) == (
            version, f"register version {version} was published"
        )  # fmt: skip
        assert {name: second[name] for name in signs} == signs
        assert any(one.startswith("list price per unit: 0.000003 → 0.000004") for one in second["changed"])
        assert (third["because"], third["changed"][0]) == (
            "revision 1 of the reading was recorded", "quantity: 1000000 → 2000000"
        )  # fmt: skip
        assert first["recorded_to"] == second["recorded_from"]
        assert second["recorded_to"] == third["recorded_from"]
        assert third["recorded_to"] is None
        [price] = [one for one in told.document["documents"] if one["kind"] == "tariff"]
        assert (price["source"], price["checked_on"], price["approver"]) == (
            "price list of November", "2026-09-01", "finance-2"
        )  # fmt: skip
        events = {one.event for one in told.evidence if one.event}
        assert events == {(SOURCE, "a.0"), (SOURCE, "a.1")}
        assert reckoned(told.document["arithmetic"]["pieces"])["eur"] == Fraction(third["eur"])

    def test_a_charge_of_an_agreement_tells_its_cycle_and_what_it_counted(self, world: World) -> None:
        explainer = Explainer(world.service.store)
        day = Asked(OCTOBER, unit="kymp", meter="credits", day=date(2026, 10, 3))
        [name] = [one["charge_id"] for one in explainer.figure(day)["shown"] if one["category"] == "Purchase"]
        told = explainer.charge(name).document
        assert told["cycle"]["term"]["size"] == "100"
        assert told["cycle"]["split"]["by"] == "usage"
        assert {one["unit"] for one in told["cycle"]["split"]["weights"]} == {"kymp", "sote"}
        [used] = explainer.reading("talk-2")
        assert used.document["eur"] == "0"
        beyond = [one for one in used.document["charged_by"] if one["unit"] == "sote"]
        told = explainer.charge(beyond[0]["charge_id"]).document
        assert [one["reading_id"] for one in told["readings"]["largest"]] == ["talk-2"]
        assert told["readings"]["known"] > told["readings"]["counted"] == 1

    def test_a_charge_that_is_no_more_is_still_explained(self, world: World) -> None:
        [before, _] = Explainer(world.service.store).reading("a")
        world.later(days=1)
        world.publish(reading("a", 1, retracted=True))
        world.settle()
        told = Explainer(world.service.store).charge(before.document["charge_id"]).document
        assert not told["stands"]
        assert told["versions"][-1]["recorded_to"] is not None
        assert told["arithmetic"]["adds_up"]

    def test_the_books_of_a_closed_month_are_told(self, world: World) -> None:
        world.later(days=40)
        world.service.days.step()
        world.settle()
        close(world, OCTOBER, by="finance-1")
        world.settle()
        [told, _] = Explainer(world.service.store).reading("a")
        assert told.document["closing"]["month"] == "2026-10"
        assert any(one.closing == "2026-10" for one in told.evidence)

    def test_nobody_s_pseudonym_is_told_unasked(self, world: World) -> None:
        person = "p-4711"
        world.later(days=1)
        world.register(placed(person, "kymp"))
        world.publish(reading(f"chat-of-{person}", consumer={"person": person, "account": "else"}))
        world.settle()
        for told in Explainer(world.service.store).reading(f"chat-of-{person}"):
            assert person not in repr(told.document)
            assert told.document["who_pays"]["by"] == "placement"
            assert told.document["who_pays"]["valid_from"] == "2026-01-01"
        for told in Explainer(world.service.store, show_consumer=True).reading(f"chat-of-{person}"):
            assert told.document["who_pays"]["consumer"]["person"] == person

    def test_what_has_no_price_tells_why(self, world: World) -> None:
        for told in Explainer(world.service.store).reading("c"):
            assert (told.document["reason"], told.document["eur"]) == ("no tariff", None)
            assert told.document["arithmetic"] == {"pieces": [], "adds_up": True}

    def test_what_an_invoice_brought_tells_the_invoice_and_the_reconciliation(self, make_world: MakeWorld) -> None:
        world = make_world()
        world.register(*BASE)
        world.publish(*ESTIMATES)
        world.later(days=33)
        world.publish(OVER, invoice("13.33"))
        world.settle()
        told = [one for one in check_every_charge(world) if one["kind"] == "invoice"]
        assert {one["unit"] for one in told} == {"kymp", "sote"}
        [[piece], *_] = [one["arithmetic"]["pieces"] for one in told]
        assert any(step["says"].startswith("A-1: 13.33 USD at 1.2 per EUR") for step in piece)
        assert told[0]["invoice"]["invoices"][0]["invoice_id"] == "A-1"
        assert told[0]["invoice"]["reconciliation"]["needs_a_person"] is False
        evidence = Explainer(world.service.store).charge(told[0]["charge_id"]).evidence
        assert ("anthropic", "A-1", 0) in {one.invoice for one in evidence}
        world.close()
