"""The city's folder, and what is said when it is not one."""

import shutil
from datetime import date
from pathlib import Path

import pytest

from services.shared.errors import ConfigurationError
from services.simulator.city import EXAMPLE_CITY, Numbers, load_city
from tests.unit.simulator.asking import example


def test_everybody_of_the_example_city_is_invented() -> None:
    assert len(example().people) == 520
    assert all(person.endswith("@kaupunki.example") for person in example().people)


@pytest.mark.parametrize(
    ("unit", "day", "people"),
    [
        pytest.param("viestinta", date(2026, 10, 15), 30, id="the day before the reorganisation"),
        pytest.param("viestinta", date(2026, 10, 16), 15, id="its first day"),
        pytest.param("neuvonta", date(2026, 10, 15), 40, id="who receives, the day before"),
        pytest.param("neuvonta", date(2026, 10, 16), 55, id="who receives, the first day"),
    ],
)
def test_people_belong_to_their_unit_of_the_day(unit: str, day: date, people: int) -> None:
    assert len(example().members(unit, day)) == people


def test_numbers_of_people_are_inclusive() -> None:
    assert example().numbered(Numbers(first=2, last=3)) == (
        "person-0002@kaupunki.example",
        "person-0003@kaupunki.example",
    )


@pytest.mark.parametrize("name", ["vendors.json", "people.csv", "reviewers.yaml", "usecases.yaml"])
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    folder = shutil.copytree(EXAMPLE_CITY, tmp_path / "city")
    (folder / name).unlink()
    with pytest.raises(ConfigurationError, match=name):
        load_city(folder)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("vendors.json", '{"anthropic": {}}'),
        ("vendors.json", "{"),
        ("people.csv", "person,unit,valid_from,valid_to,also\na,b,not-a-day,,\n"),
        ("people.csv", "person,unit\na,b\n"),
        ("reviewers.yaml", "- [unclosed"),
        ("usecases.yaml", "- {name: without an id}"),
    ],
)
def test_a_broken_file_is_refused_in_one_sentence(name: str, text: str, tmp_path: Path) -> None:
    folder = shutil.copytree(EXAMPLE_CITY, tmp_path / "city")
    (folder / name).write_text(text)
    with pytest.raises(ConfigurationError, match="register check"):
        load_city(folder)
