"""The recipients file: what is read, and each sentence with which it is refused."""

from pathlib import Path

import pytest

from services.cost_alerts.recipients import load_recipients
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
        pytest.param("r: {webhook: 'ftp://x'}", "a webhook begins with https", id="not a web address"),
        pytest.param("r: {language: de}", "language", id="another language"),
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
