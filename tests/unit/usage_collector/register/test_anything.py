"""Whatever stands in a folder: it is refused with sentences or it can be published; nothing else happens."""

import tempfile
from copy import deepcopy
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.shared.events import decode, encode
from services.usage_collector.register.expected import EXPECTED
from services.usage_collector.register.facts import KINDS, Facts, Kind, change_event
from services.usage_collector.register.folder import load_folder
from services.usage_collector.register.problems import RegisterRefusedError

EXAMPLE_CITY = Path(__file__).parents[4] / "deploy" / "example-city"
TODAY = date(2026, 11, 22)
NOW = datetime(2026, 11, 22, tzinfo=UTC)
SMALLEST = {
    "units.yaml": b"- {id: city, name: {en: City}, valid_from: 2026-01-01}\n",
    "systems.yaml": b"- {id: api, vendor: v, name: API, owner: ict}\n",
}
KIND_IDS = [pytest.param(kind, id=kind.file) for kind in KINDS]
GOOD = {
    kind.name: yaml.safe_load(path.read_text(encoding="utf-8"))[0]
    for kind in KINDS
    if kind.file.endswith(".yaml")
    for path in sorted(EXAMPLE_CITY.glob(kind.file))[:1]
} | {"fx": {"day": date(2026, 11, 2), "rates": {"USD": "1.1180"}, "source": "bank"}}
CALM = settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow], deadline=None)

plain = st.one_of(
    st.text(max_size=20),
    st.integers(),
    st.booleans(),
    st.none(),
    st.floats(allow_nan=True),
    st.dates(),
    st.datetimes(),
    st.sampled_from(["city", "api", "1", "0.5", "2026-01-01", "EUR", "per_unit", "seats", "Europe/Helsinki", "fi"]),
)
names_within = st.sampled_from([*EXPECTED, "fi", "x"]) | st.integers()
values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names_within, inner, max_size=4),
    max_leaves=8,
)


def says_or_loads(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        for file, content in {**SMALLEST, **files}.items():
            path = Path(name, file)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        outcome = loaded(Path(name))
    if isinstance(outcome, RegisterRefusedError):
        assert outcome.problems
        assert all(problem.line >= 1 and problem.found and problem.write for problem in outcome.problems)
        assert all("\n" not in str(problem) for problem in outcome.problems)
    else:
        events = [change_event(key, 1, fact, NOW) for key, fact in outcome.items()]
        assert [decode(encode(event)) for event in events] == events


def loaded(folder: Path) -> Facts | RegisterRefusedError:
    try:
        return load_folder(folder, today=TODAY).facts
    except RegisterRefusedError as error:
        return error


def file_of(kind: Kind) -> str:
    return kind.file.replace("*", "a")


@pytest.mark.parametrize("kind", KIND_IDS)
@given(content=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
@CALM
def test_any_bytes(kind: Kind, content: bytes) -> None:
    says_or_loads({file_of(kind): content})


@pytest.mark.parametrize("kind", [kind for kind in KIND_IDS if str(kind.id).endswith(".yaml")])
@given(data=st.data())
@CALM
def test_any_values_in_any_member(kind: Kind, data: st.DataObject) -> None:
    names = [*kind.model.model_fields, "unknown"]
    changed = data.draw(st.dictionaries(st.sampled_from(names), values, max_size=2))
    entry = {**GOOD.get(kind.name, {}), **changed}
    gone = data.draw(st.none() | st.sampled_from(sorted(entry)))
    entry.pop(gone, None)
    says_or_loads({file_of(kind): yaml.safe_dump([entry], allow_unicode=True).encode()})


@given(st.lists(st.lists(st.text(max_size=10), max_size=6), max_size=4))
@CALM
def test_any_rows(rows: list[list[str]]) -> None:
    text = "\n".join(["person,unit,valid_from,valid_to,also", *(",".join(row) for row in rows)])
    says_or_loads({"people.csv": text.encode()})


RICH: dict[str, dict[str, Any]] = {
    "contract": {
        "id": "c",
        "system": "api",
        "vendor": "v",
        "vat_rate": "0.255",
        "discounts": [{"sku": "m", "meter": "requests", "off": "0.1"}],
        "terms": [
            {
                "kind": "pool",
                "id": "p",
                "meter": "requests",
                "size": "10",
                "price": "9",
                "currency": "EUR",
                "every": "once",
                "carries_over": True,
                "share": {"by": "fixed", "weights": {"city": "1"}},
            },
            {
                "kind": "pool",
                "id": "q",
                "measure": "cost",
                "burns": "EUR",
                "size": "1",
                "price": "1",
                "currency": "EUR",
            },
            {"kind": "capacity", "id": "k", "sku": "m", "quantity": "1", "price": "1", "currency": "EUR"},
            {"kind": "fee", "id": "f", "sku": "m", "amount": "1", "currency": "EUR", "share": {"by": "headcount"}},
            {"kind": "minimum", "id": "l", "amount": "1", "currency": "EUR"},
            {"kind": "unused_seats", "id": "u", "sku": "m", "share": {"by": "usage"}},
        ],
        "valid_from": date(2026, 1, 1),
        "valid_to": date(2027, 1, 1),
    },
    "tariff": {
        "id": "t",
        "system": "api",
        "sku": "m",
        "meter": "input_tokens",
        "model": "by_request_size",
        "tiers": [{"up_to": "10", "price": "2"}, {"price": "1"}],
        "per": "1",
        "currency": "USD",
        "multipliers": {"region": {"eu": "1.1"}},
        "when": {"service_tier": "standard"},
        "valid_from": date(2026, 1, 1),
        "source": "x",
        "checked_on": date(2026, 1, 1),
    },
    "allocation": {
        "order": 1,
        "match": {"path": "/a", "tags": {"a": "b"}, "sku": "m", "project": "p"},
        "unit": "city",
        "project": "x",
        "valid_from": date(2026, 1, 1),
    },
    "budget": {
        "id": "b",
        "unit": "city",
        "system": "api",
        "vendor": "v",
        "period": 2027,
        "amount": "12",
        "currency": "EUR",
        "months": ["1"] * 12,
        "thresholds": ["0.8"],
        "forecast_thresholds": ["1.0"],
        "recipients": ["f"],
        "amendments": [{"valid_from": date(2027, 9, 1), "amount": "-2", "decision": "d"}],
        "carry_over": {"budget": "a", "most": "1", "decision": "d"},
    },
    "planned": {
        "id": "p",
        "kind": "seats",
        "system": "api",
        "sku": "m",
        "unit": "city",
        "valid_from": date(2027, 1, 1),
        "ramp_days": 30,
        "seats": -5,
        "price": "9",
        "currency": "USD",
        "source": "x",
    },
    "usecase": {
        "id": "u",
        "name": {"en": "U"},
        "unit": "city",
        "owner": "o",
        "purpose": "p",
        "systems": ["api"],
        "risk_class": "limited",
        "project": "x",
        "benefit": {"measure": "m", "counts": "cases", "baseline": "1", "target": "2", "owner": "o"},
        "annex_iii": "5(a)",
        "art6_3": "preparatory",
        "profiling": False,
        "decision_effect": "preparatory",
        "covers": {"models": ["m*"], "agents": ["a"], "features": ["f"], "regions": ["eu"]},
        "art5_checked": {"on": date(2026, 1, 1), "by": "o"},
        "in_use_since": date(2026, 1, 1),
        "suspended_from": datetime(2026, 9, 14, 5, tzinfo=UTC),
        "resumed_at": "2026-09-15T08:00:00+03:00",
        "replaces": [],
        "public": True,
        "valid_from": date(2026, 1, 1),
    },
    "reviewer": {
        "reviewer": "a@c.example",
        "unit": "city",
        "use_cases": [],
        "trained_on": date(2026, 1, 1),
        "trained_until": date(2027, 1, 1),
        "capacity": "editor",
        "rank": 2,
        "reports_to": "b@c.example",
        "valid_from": date(2026, 1, 1),
    },
    "policy": {
        "id": "p",
        "version": 1,
        "approved_by": "b",
        "published_on": date(2026, 1, 1),
        "trusted_sources": ["city/*"],
        "lease_minutes": 30,
        "rules": [
            {
                "risk_class": "high_decision",
                "gate": "before_use",
                "deadline_business_hours": 8,
                "accepted_evidence": ["edited"],
                "accepted_by_source": {"m/*": ["thumb"]},
                "sample_rate": "0.05",
                "sample_least": 59,
                "second_rate": "0.1",
                "four_eyes": "adverse",
                "training_required": True,
                "capacity": "editor",
                "max_bulk": 0,
                "one_click": False,
                "escalation": [{"share": "0.5", "role": "r"}, {"share": "1", "role": "s"}],
            },
            {"risk_class": "minimal", "gate": "none"},
        ],
        "legal_dates": [
            {
                "id": "l",
                "on": date(2027, 12, 2),
                "risk_classes": ["limited"],
                "requires": ["dpia", "owner"],
                "article": "a",
                "annex_iii_only": True,
                "in_use_before": date(2027, 1, 1),
                "warn_days": 9,
            }
        ],
        "valid_from": date(2026, 1, 1),
    },
}

EARLIER = deepcopy({name: value for name, value in RICH["budget"].items() if name not in {"amendments", "carry_over"}})
BESIDE: dict[str, list[dict[str, Any]]] = {"budget": [{**EARLIER, "id": "a", "period": 2026}]}
"""What must stand beside a rich entry for it to be good."""


def paths_in(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for name, one in inner for found in ((*path, name), *paths_in(one, (*path, name)))]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name in RICH], ids=lambda kind: kind.file)
@given(data=st.data())
@settings(CALM, max_examples=60)
def test_any_value_anywhere_inside_an_entry(kind: Kind, data: st.DataObject) -> None:
    entry = deepcopy(RICH[kind.name])
    *outer, last = data.draw(st.sampled_from(paths_in(entry)))
    inside: Any = entry
    for part in outer:
        inside = inside[part]
    if data.draw(st.booleans()):
        inside[last] = data.draw(values)
    else:
        del inside[last]
    if isinstance(inside, dict) and data.draw(st.booleans()):
        inside[data.draw(names_within)] = data.draw(values)
    says_or_loads({file_of(kind): yaml.safe_dump([entry], allow_unicode=True).encode()})


def test_the_rich_entries_are_good() -> None:
    with tempfile.TemporaryDirectory() as name:
        for kind in KINDS:
            if kind.name in RICH:
                path = Path(name, file_of(kind))
                path.parent.mkdir(exist_ok=True)
                path.write_text(yaml.safe_dump([RICH[kind.name], *BESIDE.get(kind.name, [])]))
        for file, content in SMALLEST.items():
            Path(name, file).write_bytes(content)
        assert not isinstance(loaded(Path(name)), RegisterRefusedError)
