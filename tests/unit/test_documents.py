"""The pages say what is there: commands, make targets, settings, links, and generated files."""

import re
from pathlib import Path

import pytest
import typer

from services.__main__ import app
from services.shared.settings import Settings
from tools.generate import main as generate

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        *ROOT.glob("services/*/README.md"),
        *ROOT.glob("deploy/**/*.md"),
    ]
)


def commands() -> set[str]:
    """Every command of the command line, with its group: `ledger check`."""
    root = typer.main.get_command(app)
    groups = getattr(root, "commands", {})
    nested = {f"{name} {inner}" for name, group in groups.items() for inner in getattr(group, "commands", {})}
    return set(groups) | nested


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_names_only_commands_targets_and_settings_that_exist(page: Path) -> None:
    text = page.read_text()
    known = commands()
    for words in re.findall(r"(?<![/\w])valvomo ((?:[a-z][a-z-]+ ?){1,2})", text):
        first, _, second = words.strip().partition(" ")
        assert first in known, f"valvomo {first}"
        if any(name.startswith(f"{first} ") for name in known) and second:
            assert f"{first} {second}" in known, f"valvomo {first} {second}"
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)`", text)) <= targets
    settings = {f"VALVOMO_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"VALVOMO_[A-Z_]*[A-Z]", text)) <= settings | {"VALVOMO_TEST_CACHE"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_setting_is_documented_and_every_generated_file_is_up_to_date() -> None:
    assert all(field.description for field in Settings.model_fields.values())
    assert generate(check=True) == 0
