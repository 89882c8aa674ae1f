"""`valvomo token new`: what it prints is what the program lets in."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.shared.access import Access, read_tokens
from services.shared.clock import SteppedClock
from services.usage_collector.token_cli import app
from tests.unit.usage_collector.door import NOW


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.usage_collector.token_cli.SystemClock", lambda: SteppedClock(NOW))


def test_the_printed_token_opens_what_the_printed_entry_says(tmp_path: Path) -> None:
    arguments = [
        "new",
        "library",
        "--scope",
        "events",
        "--system",
        "chat",
        "--source",
        "apps/*",
        "--expires-on",
        "2027-01-01",
    ]
    made = CliRunner().invoke(app, arguments)
    assert made.exit_code == 0
    secret = made.stderr.split()[-1]
    assert secret not in made.stdout
    file = tmp_path / "tokens.yaml"
    file.write_text(made.stdout, encoding="utf-8")
    holder = Access(read_tokens(file), SteppedClock(NOW)).admit("POST", "/v1/events", f"Bearer {secret}")
    assert (holder.token_id, holder.systems, holder.sources) == ("library", ("chat",), ("apps/*",))


@pytest.mark.parametrize(
    "arguments",
    [
        ["library"],
        ["library", "--role", "king"],
        ["library", "--scope", "log", "--expires-on", "soon"],
        ["library", "--scope", "log", "--expires-on", f"{NOW:%Y-%m-%d}"],
    ],
)
def test_rights_that_cannot_be_are_a_sentence(arguments: list[str]) -> None:
    made = CliRunner().invoke(app, ["new", *arguments])
    assert made.exit_code == 2
    assert made.stderr.startswith("no token was made: ")
    assert made.stdout == ""
