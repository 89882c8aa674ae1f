"""The recipients file: what is read, and each sentence with which it is refused."""

from datetime import time
from pathlib import Path

import pytest

from services.cost_alerts.delivery.recipients import load_recipients
from services.shared.errors import ConfigurationError


def test_roles_with_all_and_with_nothing(tmp_path: Path) -> None:
    path = tmp_path / "recipients.yaml"
    path.write_text(
        "finance-kymp: {language: sv, addresses: [a@city.example], webhook: 'https://x.example/y', secret: s}\nhead:\n"
    )
    found = load_recipients(path)
    assert found["finance-kymp"].addresses == ("a@city.example",)
    assert found["finance-kymp"].language == "sv"
    assert found["head"].addresses == ()
    assert found["head"].language == "fi"
    assert "x.example" not in repr(found)


def test_what_a_role_may_ask_for(tmp_path: Path) -> None:
    path = tmp_path / "recipients.yaml"
    path.write_text(
        "r: {teams: 'https://flows.example/secret', kinds: [budget, no_data], digest: '08:00',\n"
        "    quiet_hours: {from: '18:00', to: '07:00', weekends: true}}\n"
    )
    found = load_recipients(path)["r"]
    assert sorted(found.kinds or ()) == ["budget", "no_data"]
    assert found.digest == time(8)
    assert found.quiet_hours is not None
    assert (found.quiet_hours.begin, found.quiet_hours.to, found.quiet_hours.weekends) == (time(18), time(7), True)
    assert found.is_reached
    assert "flows.example" not in repr(found)


def test_no_file_is_nobody() -> None:
    assert load_recipients(None) == {}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("- a\n", "holds no roles", id="a list"),
        pytest.param("a: {b: [\n", "line 2 is not YAML", id="broken"),
        pytest.param("r: {adresses: [a@b]}", "r cannot be used: adresses", id="misspelt member"),
        pytest.param("r: {addresses: a@b}", "addresses", id="one address without brackets"),
        pytest.param("r: {addresses: ['Bob Smith']}", "addresses.0", id="not an address"),
        pytest.param("r: {addresses: ['a@b\\nBcc: c@d']}", "addresses.0", id="a header smuggled in"),
        pytest.param("r: {webhook: 'ftp://x'}", "the address begins with https", id="not a web address"),
        pytest.param("r: {language: de}", "language", id="another language"),
        pytest.param("r: {teams: flows.example/x}", "the address begins with https", id="half an address"),
        pytest.param("r: {kinds: [budgets]}", "kinds", id="a kind that there is not"),
        pytest.param("r: {digest: 18:00}", "written in quotes", id="a time without quotes"),
        pytest.param("r: {digest: '8'}", "written in quotes", id="not a time"),
        pytest.param("r: {quiet_hours: {from: '18:00'}}", "quiet_hours.to", id="a rest without end"),
        pytest.param("r: {quiet_hours: {from: '18:00', to: '18:00'}}", "must differ", id="a rest of a whole day"),
        pytest.param(
            "r: {digest: '06:00', quiet_hours: {from: '18:00', to: '07:00'}}", "digest must not", id="a digest at night"
        ),
        pytest.param("r: {addresses: [mäkinen@b]}", "written in ASCII", id="an address that many servers refuse"),
        pytest.param("r: {a@b: x}", r"r cannot be used: \(an address\)", id="an address in the place of a member"),
        pytest.param("a@b: {}", "a role that is not an id", id="an address as role"),
        pytest.param("r: {}\ns: {}\nr: {}", "line 3 names a role for the second time", id="a role twice"),
        pytest.param("1: {}", "a role that is not an id", id="a number as role"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "recipients.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=sentence) as found:
        load_recipients(path)
    assert "Bob" not in str(found.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read"):
        load_recipients(tmp_path / "none.yaml")
