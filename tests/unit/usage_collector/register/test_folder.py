"""A folder becomes facts: whole, with warnings, and with pseudonyms where people were."""

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from services.shared.events import MAX_EVENT_BYTES, decode, encode
from services.shared.events.prices import Tariff
from services.shared.events.register import AllocationRule, FxRates, Placement, ReviewerMandate, Unit
from services.usage_collector.register.facts import change_event
from services.usage_collector.register.folder import Folder, load_folder
from services.usage_collector.source import Identity, Who

EXAMPLE_CITY = Path(__file__).parents[4] / "deploy" / "example-city"
TODAY = date(2026, 11, 22)
NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
SMALLEST = {
    "units.yaml": "- {id: city, name: {en: City}, valid_from: 2026-01-01}\n",
    "systems.yaml": "- {id: api, vendor: anthropic, name: API, owner: ict}\n",
}


def load(folder: Path, files: Mapping[str, str], who: Who | None = None) -> Folder:
    for name, text in {**SMALLEST, **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return load_folder(folder, today=TODAY, who=who)


CITY_AND_TEMP = SMALLEST["units.yaml"] + (
    "- {id: temp, parent: city, name: {en: Temporary}, valid_from: 2026-01-01, valid_to: 2026-07-01}\n"
)
BUDGET_OF_TEMP = (
    '- {id: b, unit: temp, period: 2026, amount: "9.00", currency: EUR, thresholds: ["0.8"], recipients: [f]}\n'
)


USE_CASE = (
    "- {id: permits, name: {en: Permits}, unit: city, owner: head, purpose: Checks, systems: [api], "
    "risk_class: limited, valid_from: 2026-01-01}\n"
)
BENEFIT = 'benefit: {measure: permits, counts: cases, baseline: "1", target: "2", owner: head}'
RESULT = '- {id: r, use_case: permits, month: 2026-10, result: "12", source: count}\n'


def planned(valid_from: str, **members: str | None) -> str:
    usual = {"id": "p", "kind": "price", "system": "api", "valid_from": valid_from, "factor": '"1.1"', "source": "x"}
    return "- {" + ", ".join(f"{key}: {value}" for key, value in (usual | members).items() if value) + "}\n"


def rate(day: str) -> str:
    return f'- {{day: {day}, rates: {{USD: "1.1"}}, source: bank}}\n'


def contract(*terms: str) -> str:
    return f"- {{id: c, system: api, vendor: anthropic, valid_from: 2026-01-01, terms: [{', '.join(terms)}]}}\n"


def rule(name: str = "r", **members: str) -> str:
    usual = {"id": name, "order": "1", "match": "{account: w}", "unit": "city", "valid_from": "2026-01-01"}
    return "- {" + ", ".join(f"{key}: {value}" for key, value in (usual | members).items()) + "}\n"


def tariff(name: str = "t", **members: str | None) -> str:
    usual = {
        "id": name,
        "system": "api",
        "sku": "m",
        "meter": "requests",
        "model": "per_unit",
        "price": '"1"',
        "per": '"1"',
        "currency": "EUR",
        "valid_from": "2026-01-01",
        "source": "list",
        "checked_on": "2026-11-01",
    }
    return "- {" + ", ".join(f"{key}: {value}" for key, value in (usual | members).items() if value) + "}\n"


def facts_of(folder: Folder, kind: type[Any]) -> list[Any]:
    return [fact for fact in folder.facts.values() if isinstance(fact, kind)]


class Table:
    """A table of people in which some ids are known from before."""

    def __init__(self, **known: str) -> None:
        self.known = known
        self.calls = 0

    def __call__(self, identities: Collection[Identity]) -> Mapping[Identity, str]:
        self.calls += 1
        return {identity: self._one(identity) for identity in sorted(identities)}

    def _one(self, identity: Identity) -> str:
        names = [name.lower() for name in identity]
        first = next((self.known[name] for name in names if name in self.known), f"p-{len(self.known):04d}")
        for name in names:
            self.known.setdefault(name, first)
        return first


def test_example_city_can_be_published_as_events() -> None:
    folder = load_folder(EXAMPLE_CITY, today=TODAY)
    events = [change_event(key, 1, fact, NOW) for key, fact in folder.facts.items()]
    assert all(decode(encode(event)) == event for event in events)
    assert max(len(encode(event)) for event in events) < MAX_EVENT_BYTES
    assert len({event.id for event in events}) == len(events)


def test_example_city_has_what_its_stories_need() -> None:
    folder = load_folder(EXAMPLE_CITY, today=TODAY)
    assert folder.entries["placement"] == 535
    assert {warning.code for warning in folder.warnings} <= {
        "missing-exchange-rates",
        "missing-record",
        "old-exchange-rates",
        "old-price",
        "training-ended",
    }
    assert [warning.found for warning in folder.warnings if warning.code == "missing-record"] == [
        "no fria of 'tyollisyys-palvelutarve'",
        "no art5_checked of 'opettajan-agentti'",
        "no eu_database_id of 'hakemusten-esikarsinta'",
        "no fria, instructions of 'hakemusten-esikarsinta'",
    ]
    guidance = sorted((unit.valid_from, unit.parent) for unit in facts_of(folder, Unit) if unit.id == "neuvonta")
    assert guidance == [(date(2026, 1, 1), "konserni"), (date(2026, 10, 16), "hyve")]
    moved = [placement for placement in facts_of(folder, Placement) if placement.valid_from == date(2026, 10, 16)]
    assert (len(moved), {placement.unit for placement in moved}) == (15, {"neuvonta"})
    tariffs = [fact for fact in facts_of(folder, Tariff) if fact.sku == "Microsoft_365_Copilot"]
    seats = {(fact.valid_from, str(fact.price)) for fact in tariffs}
    assert seats == {(date(2026, 1, 1), "28.10"), (date(2027, 1, 1), "30.90")}


def test_example_city_names_nobody() -> None:
    folder = load_folder(EXAMPLE_CITY, today=TODAY)
    said = [encode(change_event(key, 1, fact, NOW)) for key, fact in folder.facts.items()]
    assert not [event for event in said if b"@kaupunki.example" in event or b"5e00000000" in event]


def test_persons_leave_as_pseudonyms_wherever_they_are_written(tmp_path: Path) -> None:
    files = {
        "people.csv": "person,unit,valid_from,valid_to,also\nAino@c.example,city,2026-01-01,,u1 g1\n",
        "reviewers.yaml": "- {reviewer: aino@c.example, unit: city, valid_from: 2026-01-01}\n",
        "allocation.yaml": "- {order: 1, match: {person: AINO@c.example}, unit: city, valid_from: 2026-01-01}\n",
    }
    table = Table(**{"aino@c.example": "p-aino"})
    folder = load(tmp_path, files, who=table)
    assert [placement.person for placement in facts_of(folder, Placement)] == ["p-aino"]
    assert [mandate.reviewer for mandate in facts_of(folder, ReviewerMandate)] == ["p-aino"]
    assert [rule.match.person for rule in facts_of(folder, AllocationRule)] == ["p-aino"]
    assert table.known["u1"] == table.known["g1"] == "p-aino"
    assert table.calls == 2, "people are asked for at once, not one by one"


def test_an_id_that_was_met_on_its_own_keeps_its_pseudonym_and_gets_the_same_unit(tmp_path: Path) -> None:
    people = "person,unit,valid_from,valid_to,also\naino@c.example,city,2026-01-01,,u1\n"
    table = Table(**{"aino@c.example": "p-aino", "u1": "p-early"})
    folder = load(tmp_path, {"people.csv": people}, who=table)
    assert {(placement.person, placement.unit) for placement in facts_of(folder, Placement)} == {
        ("p-aino", "city"),
        ("p-early", "city"),
    }


def test_nobody_is_asked_for_a_pseudonym_while_anything_is_wrong(tmp_path: Path) -> None:
    table = Table()
    with pytest.raises(Exception, match="expected a unit that is defined"):
        load(tmp_path, {"people.csv": "person,unit,valid_from\na@c.example,nowhere,2026-01-01\n"}, who=table)
    assert table.calls == 0


def test_rule_without_an_id_keeps_its_name_when_it_gives_to_another_unit(tmp_path: Path) -> None:
    def name(unit: str) -> str:
        text = f"- {{order: 1, match: {{account: w}}, unit: {unit}, valid_from: 2026-01-01}}\n"
        units = SMALLEST["units.yaml"] + "- {id: other, name: {en: Other}, valid_from: 2026-01-01}\n"
        return str(facts_of(load(tmp_path, {"allocation.yaml": text, "units.yaml": units}), AllocationRule)[0].id)

    assert name("city") == name("other")


def test_files_that_are_not_of_the_register_do_no_harm(tmp_path: Path) -> None:
    files = {
        "README.md": "# x",
        "notes.txt": "\x00",
        ".hidden.yaml": "{",
        "tariffs/README.md": "y",
        "vendors.json": "{}",
    }
    assert load(tmp_path, files).facts == load_folder(tmp_path, today=TODAY).facts


def test_an_empty_file_is_an_empty_list(tmp_path: Path) -> None:
    assert load(tmp_path, {"budgets.yaml": "", "policy.yaml": "# later\n", "people.csv": ""}).entries["budget"] == 0


def test_a_table_program_may_leave_its_byte_order_mark_and_line_ends(tmp_path: Path) -> None:
    people = "\ufeffperson,unit,valid_from,valid_to\r\na@c.example,city,2026-01-01,2026-02-01\r\n\r\n"
    assert [str(placement.valid_to) for placement in facts_of(load(tmp_path, {"people.csv": people}), Placement)] == [
        "2026-02-01"
    ]


def test_rates_come_with_the_tariffs_that_need_them(tmp_path: Path) -> None:
    folder = load(
        tmp_path,
        {
            "tariffs/a.yaml": tariff(currency="USD", valid_from="2026-11-20"),
            "fx.yaml": '- {day: 2026-11-19, rates: {USD: "1.1"}, source: bank}\n',
        },
    )
    assert [(str(fact.day), str(fact.rates["USD"])) for fact in facts_of(folder, FxRates)][-1] == ("2026-11-19", "1.1")
    assert not folder.warnings


@pytest.mark.parametrize(
    ("files", "warned"),
    [
        pytest.param({"tariffs/a.yaml": tariff()}, [], id="a price in force"),
        pytest.param(
            {"tariffs/a.yaml": tariff(valid_to="2026-03-01") + tariff("u", valid_from="2026-03-01")},
            [],
            id="two prices in turn",
        ),
        pytest.param(
            {"tariffs/a.yaml": tariff(valid_to="2026-03-01") + tariff("u", valid_from="2026-03-02")},
            ["gap"],
            id="a day without a price",
        ),
        pytest.param({"tariffs/a.yaml": tariff(checked_on="2026-05-26")}, [], id="checked 180 days ago"),
        pytest.param({"tariffs/a.yaml": tariff(checked_on="2026-11-23")}, ["future-check"], id="checked tomorrow"),
        pytest.param({"tariffs/a.yaml": tariff(checked_on="2026-05-25")}, ["old-price"], id="checked 181 days ago"),
        pytest.param(
            {"tariffs/a.yaml": tariff(checked_on="2025-05-25", valid_to="2026-11-22")},
            [],
            id="an old price that has ended",
        ),
        pytest.param(
            {"tariffs/a.yaml": tariff(currency="USD")}, ["missing-exchange-rates"], id="rates that end three weeks ago"
        ),
        pytest.param(
            {"tariffs/a.yaml": tariff(currency="USD"), "fx.yaml": rate("2026-11-09")},
            ["missing-exchange-rates"],
            id="no rate for thirteen days",
        ),
        pytest.param(
            {"tariffs/a.yaml": tariff(currency="USD"), "fx.yaml": rate("2026-11-10")},
            ["old-exchange-rates"],
            id="no rate for twelve days",
        ),
        pytest.param(
            {"tariffs/a.yaml": tariff(currency="USD"), "fx.yaml": rate("2026-11-17")},
            ["old-exchange-rates"],
            id="no rate for five days",
        ),
        pytest.param(
            {"tariffs/a.yaml": tariff(currency="USD"), "fx.yaml": rate("2026-11-18")},
            [],
            id="a rate of four days ago",
        ),
        pytest.param(
            {"vendors.yaml": "- {id: other, name: Other}\n", "contracts.yaml": contract()},
            ["unknown-vendor", "unknown-vendor"],
            id="a system and a contract of a vendor that the file of vendors does not have",
        ),
        pytest.param(
            {"vendors.yaml": "- {id: anthropic, name: A}\n", "contracts.yaml": contract()},
            [],
            id="a vendor that is there",
        ),
        pytest.param({"planned.yaml": planned("2026-11-22")}, ["past-plan"], id="a plan whose day is today"),
        pytest.param({"planned.yaml": planned("2026-11-23")}, [], id="a plan for tomorrow"),
        pytest.param(
            {"planned.yaml": planned("2027-01-01", seats="-5", price='"9"', currency="SEK", kind="seats", factor=None)},
            ["missing-exchange-rates"],
            id="a plan in another currency needs rates too",
        ),
        pytest.param(
            {"units.yaml": CITY_AND_TEMP, "planned.yaml": planned("2026-06-01", unit="temp")},
            ["outside-validity", "past-plan"],
            id="a plan for a unit that ends",
        ),
        pytest.param(
            {"usecases.yaml": USE_CASE, "benefits.yaml": RESULT},
            ["result-without-target"],
            id="a result where no benefit is declared",
        ),
        pytest.param(
            {
                "usecases.yaml": USE_CASE.replace("limited", f"limited, {BENEFIT}"),
                "benefits.yaml": RESULT.replace("2026-10", "2026-12"),
            },
            ["future-result"],
            id="a result of a month to come",
        ),
        pytest.param(
            {
                "usecases.yaml": USE_CASE.replace("limited", f"limited, {BENEFIT}"),
                "benefits.yaml": RESULT.replace("2026-10", "2026-11"),
            },
            [],
            id="a result of this month",
        ),
        pytest.param(
            {"contracts.yaml": contract('{kind: fee, id: f, sku: f, amount: "9", currency: SEK}')},
            ["missing-exchange-rates"],
            id="a term in another currency needs rates too",
        ),
        pytest.param(
            {
                "tariffs/a.yaml": tariff(currency=None, credit="pack")
                + tariff("u", sku="pack", meter="credits", valid_to="2026-07-01")
            },
            ["gap"],
            id="a credit whose price ends before the card does",
        ),
        pytest.param(
            {
                "tariffs/a.yaml": tariff(currency=None, credit="pack"),
                "contracts.yaml": contract(
                    '{kind: pool, id: p, sku: pack, meter: credits, size: "9", price: "9", currency: EUR}'
                ),
            },
            [],
            id="a credit that a pool pays for",
        ),
        pytest.param(
            {"units.yaml": CITY_AND_TEMP, "allocation.yaml": rule(unit="temp")},
            ["outside-validity"],
            id="a rule that goes on after its unit",
        ),
        pytest.param(
            {"units.yaml": CITY_AND_TEMP, "budgets.yaml": BUDGET_OF_TEMP},
            ["outside-validity"],
            id="a budget of a year in which its unit ends",
        ),
        pytest.param(
            {
                "units.yaml": CITY_AND_TEMP,
                "contracts.yaml": contract(
                    '{kind: fee, id: f, sku: f, amount: "9", currency: EUR, '
                    'share: {by: fixed, weights: {city: "1", temp: "1"}}}'
                ),
            },
            ["outside-validity"],
            id="a weight of a unit that ends before the contract",
        ),
        pytest.param(
            {"allocation.yaml": rule() + rule("s", order="2", match="{account: w, tags: {a: x}}")},
            ["rule-without-effect"],
            id="a rule behind one that fits all that it fits",
        ),
        pytest.param(
            {"allocation.yaml": rule(match="{path: /a}") + rule("s", order="2", match="{path: /a/b}")},
            ["rule-without-effect"],
            id="a path behind its beginning",
        ),
        pytest.param(
            {"allocation.yaml": rule(match="{project: x}") + rule("s", order="2", match="{tags: {project: x}}")},
            ["rule-without-effect"],
            id="a tag by its other name",
        ),
        pytest.param(
            {"allocation.yaml": rule(match="{project: x, tags: {project: y}}")},
            ["rule-without-effect"],
            id="a rule that demands two values of one tag",
        ),
        pytest.param(
            {"allocation.yaml": rule(match="{path: /a, tags: {page_path: /b}}")},
            ["rule-without-effect"],
            id="a rule for a path and another page",
        ),
        pytest.param(
            {"allocation.yaml": rule(match="{sku: nothing}"), "tariffs/a.yaml": tariff()},
            ["rule-without-effect"],
            id="a rule for a SKU without a price",
        ),
        pytest.param(
            {"allocation.yaml": rule(match="{sku: any}"), "tariffs/a.yaml": tariff(sku='"*"')},
            [],
            id="a rule for a SKU where all have a price",
        ),
        pytest.param(
            {"allocation.yaml": rule(valid_to="2026-06-01") + rule("s", order="2", match="{account: w, sku: m}")}
            | {"tariffs/a.yaml": tariff()},
            [],
            id="a rule behind one that ends",
        ),
        pytest.param(
            {"allocation.yaml": rule(match="{account: w, system: api}") + rule("s", order="2")},
            [],
            id="the narrower rule first",
        ),
        pytest.param(
            {"people.csv": "person,unit,valid_from\na,city,2025-12-31\n"},
            ["outside-validity"],
            id="a person in a unit that is not there yet",
        ),
        pytest.param(
            {"people.csv": "person,unit,valid_from\na,city,2026-01-01\n"},
            [],
            id="a person in a unit from its first day",
        ),
    ],
)
def test_warnings(files: dict[str, str], warned: list[str], tmp_path: Path) -> None:
    assert [warning.code for warning in load(tmp_path, files).warnings] == warned


LIST = {"model": "per_unit", "currency": "USD", "per": '"1000000"', "checked_on": "2026-11-20"}
OPUS = LIST | {"sku": "claude-opus-5", "meter": "input_tokens", "when": "{service_tier: standard}"}
SONNET = LIST | {"sku": "claude-sonnet-4-5", "meter": "output_tokens"}
ONE_TIER = '[{up_to: "200000", price: "15"}, {price: "22.5"}]'


@pytest.mark.parametrize(
    ("members", "told"),
    [
        pytest.param(OPUS | {"price": '"5.00"'}, None, id="the list price"),
        pytest.param(OPUS | {"price": '"0.005"', "per": '"1000"'}, None, id="the list price of a thousand"),
        pytest.param(
            OPUS | {"price": '"4.50"'},
            "found a price of USD 4.50 per 1000000; expected USD 5 per 1000000, the list price in genai-prices",
            id="another price",
        ),
        pytest.param(OPUS | {"price": '"6"', "when": "{}"}, "expected USD 5 per 1000000", id="for any dimensions"),
        pytest.param(
            OPUS | {"price": '"5"', "when": "{service_tier: batch}"}, "expected USD 2.5 per 1000000", id="a batch"
        ),
        pytest.param(OPUS | {"price": '"6"', "when": "{service_tier: priority}"}, None, id="a tier not in the list"),
        pytest.param(OPUS | {"price": '"6"', "valid_to": "2026-11-22"}, None, id="another price that has ended"),
        pytest.param(OPUS | {"price": '"6"', "valid_from": "2027-01-01"}, None, id="another price that is to come"),
        pytest.param(OPUS | {"price": '"6"', "currency": "EUR"}, None, id="in another currency"),
        pytest.param(OPUS | {"price": '"6"', "sku": "claude-esimerkki-6"}, None, id="an unknown model"),
        pytest.param(
            OPUS | {"price": '"6"', "model": "volume", "tiers": '[{price: "6"}]'} | {"price": None},
            None,
            id="a model that no list is in",
        ),
        pytest.param(SONNET | {"model": "by_request_size", "price": None, "tiers": ONE_TIER}, None, id="tiers"),
        pytest.param(
            SONNET | {"model": "by_request_size", "price": None, "tiers": ONE_TIER.replace("22.5", "20")},
            "found a price of USD 15 up to 200000, then 20 per 1000000; expected USD 15 up to 200000, then 22.5 per",
            id="another tier",
        ),
        pytest.param(
            SONNET | {"price": '"15"', "when": "{service_tier: standard, context_window: 0-200k}"}, None, id="a size"
        ),
        pytest.param(
            SONNET | {"price": '"15"', "when": "{service_tier: standard, context_window: 200k-1M}"},
            "expected USD 22.5 per 1000000",
            id="a size at the price of another",
        ),
    ],
)
def test_differences_from_the_list_are_told_with_both_figures(
    members: dict[str, str | None], told: str | None, tmp_path: Path
) -> None:
    files = {"tariffs/a.yaml": tariff("t", **members), "fx.yaml": rate("2026-11-20")}
    warnings = [str(warning) for warning in load(tmp_path, files).warnings if warning.code == "differs-from-list"]
    assert (told is None) == (not warnings)
    assert told is None or told in warnings[0]


def test_vendors_without_a_dialect_are_compared_by_their_base_price(tmp_path: Path) -> None:
    systems = "- {id: api, vendor: openai, name: API, owner: ict}\n"
    text = tariff(**LIST, sku="gpt-5", meter="output_tokens", price='"11"')
    warnings = load(tmp_path, {"systems.yaml": systems, "tariffs/a.yaml": text, "fx.yaml": rate("2026-11-20")}).warnings
    assert [warning.expected.partition(", ")[0] for warning in warnings] == ["USD 10 per 1000000"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({}, {"sku": '"*"'}, id="any SKU beside one"),
        pytest.param({"when": "{a: x}"}, {"when": "{a: y}"}, id="other values"),
        pytest.param({"when": "{a: x}"}, {"when": "{a: x, b: y}"}, id="one says more"),
        pytest.param({"when": "{a: x}"}, {}, id="with and without conditions"),
        pytest.param({"valid_to": "2026-06-01"}, {"valid_from": "2026-06-01"}, id="one after the other"),
        pytest.param(
            {"when": "{a: x}", "valid_to": "2026-06-01"},
            {"when": "{b: y}", "valid_from": "2026-06-01"},
            id="never at once",
        ),
    ],
)
def test_tariffs_that_may_stand_beside_each_other(one: dict[str, str], other: dict[str, str], tmp_path: Path) -> None:
    assert load(tmp_path, {"tariffs/a.yaml": tariff("t", **one), "tariffs/b.yaml": tariff("u", **other)}).facts


def test_a_third_tariff_settles_two_that_both_fit(tmp_path: Path) -> None:
    text = tariff("t", when="{a: x}") + tariff("u", when="{b: y}") + tariff("v", when="{a: x, b: y}")
    assert not load(tmp_path, {"tariffs/a.yaml": text}).warnings
