"""Does docs/evidence.md tell every signal that the collector reads?"""

from pathlib import Path
from typing import get_args

import pytest

from services.shared.events.governance import Review
from services.usage_collector.otlp.reviews import EDITING_TOOLS, LABELS, PERSONS, REVIEWERS
from services.usage_collector.sources.servicenow import DECISIONS

PAGE = (Path(__file__).parents[3] / "docs" / "evidence.md").read_text(encoding="utf-8")
GRADES = get_args(Review.model_fields["evidence"].annotation)


@pytest.mark.parametrize("signal", [*LABELS, *PERSONS, *EDITING_TOOLS, REVIEWERS[0], "auto_accept", "deferred"])
def test_every_signal_of_telemetry_is_on_the_page(signal: str) -> None:
    assert f"`{signal}`" in PAGE


@pytest.mark.parametrize("feedback", sorted(DECISIONS))
def test_every_feedback_of_servicenow_is_on_the_page(feedback: str) -> None:
    assert f"`{feedback}`" in PAGE.lower()


@pytest.mark.parametrize("grade", GRADES)
def test_every_grade_is_on_the_page(grade: str) -> None:
    assert f"| `{grade}` |" in PAGE
