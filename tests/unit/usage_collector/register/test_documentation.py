"""docs/register.md says what is true: its examples are a folder that can be published, and no member is missing."""

import re
from datetime import date
from pathlib import Path

import pytest

from services.shared.events.envelope import Fact
from services.shared.events.plans import Amendment, BenefitTarget, CarryOver
from services.shared.events.prices import (
    Capacity,
    Discount,
    Fee,
    Minimum,
    Pool,
    Rounding,
    SplitKey,
    Tier,
    UnusedSeats,
)
from services.shared.events.register import Art5Check, Covered, EscalationStep, LegalDate, Match, ReviewRule
from services.usage_collector.register.expected import EXPECTED
from services.usage_collector.register.facts import KINDS, Kind
from services.usage_collector.register.folder import load_folder

PAGE = (Path(__file__).parents[4] / "docs" / "register.md").read_text(encoding="utf-8")
SECTIONS = {
    found[1]: found[2] for found in re.finditer(r"^### `([^`]+)`\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
}
INNER: list[type[Fact]] = [
    Match,
    ReviewRule,
    Tier,
    Rounding,
    Discount,
    SplitKey,
    Pool,
    Capacity,
    Fee,
    Minimum,
    UnusedSeats,
    Amendment,
    CarryOver,
    BenefitTarget,
    Covered,
    Art5Check,
    EscalationStep,
    LegalDate,
]
KIND_IDS = [pytest.param(kind, id=kind.file) for kind in KINDS]


def example(section: str) -> str:
    found = re.search(r"^```(?:yaml|csv)\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def test_the_examples_are_a_folder_that_can_be_published(tmp_path: Path) -> None:
    for name, section in SECTIONS.items():
        path = tmp_path / name.replace("*", "example")
        path.parent.mkdir(exist_ok=True)
        path.write_text(example(section), encoding="utf-8")
    folder = load_folder(tmp_path, today=date(2026, 11, 22))
    assert {kind.name: folder.entries[kind.name] > 0 for kind in KINDS} == {kind.name: True for kind in KINDS}


def test_every_file_has_a_section() -> None:
    assert set(SECTIONS) == {kind.file for kind in KINDS}


@pytest.mark.parametrize("kind", KIND_IDS)
def test_every_member_is_in_the_table_and_required_ones_are_bold(kind: Kind) -> None:
    table = "\n".join(line for line in SECTIONS[kind.file].splitlines() if line.startswith("| "))
    for name, field in kind.model.model_fields.items():
        optional = not field.is_required() or (kind.name, name) == ("allocation", "id")
        assert f"`{name}`" in table, name
        assert (f"**`{name}`**" in table) is not optional, name


@pytest.mark.parametrize("kind", KIND_IDS)
def test_every_member_has_a_sentence_for_who_gets_it_wrong(kind: Kind) -> None:
    assert set(kind.model.model_fields) <= set(EXPECTED)


@pytest.mark.parametrize("model", INNER, ids=lambda model: model.__name__)
def test_every_inner_member_has_a_sentence_and_is_on_the_page(model: type[Fact]) -> None:
    assert set(model.model_fields) <= set(EXPECTED)
    assert [name for name in model.model_fields if f"`{name}`" not in PAGE] == []
