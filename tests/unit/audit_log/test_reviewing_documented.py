"""What docs/reviewing.md says of codes is what the program knows."""

from pathlib import Path

import pytest

from services.audit_log.domain.reviews.deciding import REASONS, SHOWN

PAGE = (Path(__file__).parents[3] / "docs/reviewing.md").read_text()


@pytest.mark.parametrize("code", sorted({code for codes in REASONS.values() for code in codes} | set(SHOWN)))
def test_every_code_is_written_down(code: str) -> None:
    assert f"`{code}`" in PAGE
