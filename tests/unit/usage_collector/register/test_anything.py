"""Whatever stands in a folder: it is refused with sentences or it can be published; nothing else happens."""

import tempfile
from datetime import UTC, date, datetime
from pathlib import Path

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
