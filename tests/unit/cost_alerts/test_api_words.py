"""The texts of three languages, and how each writes values."""

import re
import string
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest
import yaml

import services
from services.audit_log.api.findings import TOLD
from services.audit_log.api.incidents import WRONG, Said
from services.audit_log.domain.ai_register.incidents import ClockState
from services.audit_log.domain.ai_register.obligations import MissingState
from services.audit_log.domain.ai_register.public import Channel, DecisionEffect
from services.audit_log.domain.reviews.case import Standing
from services.audit_log.domain.reviews.deciding import DECISIONS, REASONS, SHOWN, BulkFault, Fault
from services.audit_log.domain.reviews.folding import State as OutputState
from services.audit_log.domain.reviews.hurdles import Hurdle
from services.audit_log.domain.reviews.indicators import NAMES as INDICATORS
from services.audit_log.domain.reviews.indicators import Look
from services.audit_log.domain.reviews.quarter import CONTROLS, UntestedReason
from services.audit_log.web.findings import SEVERITIES, STATES
from services.audit_log.web.incidents import WHOM
from services.audit_log.web.life import KINDS, MarkKind
from services.audit_log.web.reviewing import Standing as ReviewStanding
from services.cost_alerts.domain.budgets.state import Condition
from services.cost_alerts.domain.risks.risk import RiskName, State
from services.cost_alerts.domain.value import Users
from services.cost_alerts.web.ledger import EXPLAINED
from services.shared.events.governance import Deletion, Gate, Review, ReviewDemand, RiskClass, Use
from services.shared.events.outcomes import AlertKind, CostBand, FindingClosing, FindingKind, IncidentKind
from services.shared.events.register import LegalRecord, ReviewRule
from services.shared.periods import Month
from services.shared.web.words import LANGUAGES, TEXT_FILES, Language, Words, name_in, preferred, text_names

SERVICES = Path(services.__file__).parent
READ = [(name, texts) for path in TEXT_FILES for name, texts in yaml.safe_load(path.read_text()).items()]
TEXTS = dict(READ)
LETTERS = yaml.safe_load((SERVICES / "cost_alerts/web/letters.yaml").read_text())
"""Named by kind, action and figure; their own tests are in delivery/test_letters.py."""

JOINED: dict[str, tuple[str, ...]] = {
    "condition_": get_args(Condition),
    "kind_": get_args(AlertKind),
    "risk_": (*get_args(RiskName), *get_args(State)),
    "do_": get_args(RiskName),
    "licence_": get_args(Users),
    "value_per_": ("cases", "hours"),
    "output_state_": get_args(OutputState),
    "finding_means_": get_args(FindingKind),
    "finding_state_": STATES,
    "finding_reason_": get_args(FindingClosing.model_fields["reason"].annotation),
    "finding_class_": get_args(RiskClass),
    "severity_": SEVERITIES,
    "incident_kind_": get_args(IncidentKind),
    "incident_whom_": WHOM,
    "incident_clock_": get_args(ClockState),
    "incident_said_": get_args(Said),
    "incident_wrong_": WRONG,
    "indicator_": INDICATORS,
    "untested_": get_args(UntestedReason),
    "control_": CONTROLS,
    "report_look_": get_args(Look),
    "report_incident_kind_": get_args(IncidentKind),
    "air_record_": get_args(LegalRecord),
    "air_demand_": get_args(MissingState),
    "air_band_": (*get_args(CostBand), "unknown"),
    "air_effect_": get_args(DecisionEffect),
    "air_channel_": get_args(Channel),
    "pub_gate_": get_args(Gate),
    "pub_risk_": get_args(RiskClass),
    "rev_you_": get_args(ReviewStanding),
    "rev_why_": get_args(ReviewStanding),
    "rev_gate_": get_args(Gate),
    "rev_four_eyes_": get_args(ReviewRule.model_fields["four_eyes"].annotation),
    "rev_independence_": get_args(ReviewRule.model_fields["independence"].annotation),
    "rev_evidence_": get_args(Review.model_fields["evidence"].annotation),
    "rev_use_": get_args(Use.model_fields["kind"].annotation),
    "rev_decision_": DECISIONS,
    "rev_do_": DECISIONS,
    "rev_reason_": tuple({code for codes in REASONS.values() for code in codes}),
    "rev_shown_": SHOWN,
    "rev_standing_": (*get_args(Standing), "none"),
    "rev_hurdle_": (*get_args(Hurdle), *get_args(Fault), *get_args(BulkFault)),
    "rev_step_": (*KINDS, "other"),
    "rev_mark_": get_args(MarkKind),
    "rev_because_": get_args(ReviewDemand.model_fields["because"].annotation),
    "rev_deleted_": get_args(Deletion.model_fields["reason"].annotation),
}
"""Texts that are named by what they tell of: how such a name begins, and how it ends."""


def gaps(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("name", text_names())
def test_every_text_is_there_in_every_language_with_the_same_gaps(name: str) -> None:
    texts = TEXTS[name]
    assert set(texts) == set(LANGUAGES)
    assert all(isinstance(text, str) and text.strip() for text in texts.values())
    assert len({frozenset(gaps(text)) for text in texts.values()}) == 1


def test_every_text_is_used_and_every_used_text_is_there() -> None:
    assert len(TEXTS) == len(READ), "two texts of one name"
    templates = [call for path in SERVICES.rglob("*.jinja") for call in re.findall(r"words\(([^)]*)", path.read_text())]
    used = {text for call in templates for text in re.findall(r'"([a-z_]+)"', call)}
    for path in SERVICES.glob("*/web/**/*.py"):
        used.update(re.findall(r'words\("([a-z_]+)"', path.read_text()))
    joined = {one for one in used if one.endswith("_")}
    assert joined == set(JOINED)
    kinds = {
        *get_args(FindingKind),
        *EXPLAINED,
        *TOLD,
        *(start + end for start, ends in JOINED.items() for end in ends),
    }
    assert (used - joined | kinds) - set(LETTERS) == set(text_names()) - set(LETTERS)


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "fi"),
        ("", "fi"),
        ("sv", "sv"),
        ("sv-FI,sv;q=0.9,en;q=0.8", "sv"),
        ("de, en;q=0.4, sv;q=0.7", "sv"),
        ("en;q=0, sv;q=0.1", "sv"),
        ("de,*;q=0.5", "fi"),
        ("EN-GB", "en"),
        ("en;q=high, sv;q=0.2", "sv"),
        (";;;,,=,q", "fi"),
    ],
)
def test_the_language_that_a_browser_asks_for(header: str | None, language: Language) -> None:
    assert preferred(header) == language


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("fi", ["-1 234,50 €", "1 235 €", "9,9 %", "99 %", "12 345", "25.10.2026 3:30", "lokakuu 2026"]),
        ("sv", ["-1 234,50 €", "1 235 €", "9,9 %", "99 %", "12 345", "25.10.2026 3:30", "oktober 2026"]),
        ("en", ["-€1,234.50", "€1,235", "9.9%", "99%", "12,345", "25 Oct 2026 03:30", "October 2026"]),
    ],
)
def test_each_language_writes_values_its_own_way(language: Language, expected: list[str]) -> None:
    words = Words(language)
    written = [
        words.money(Decimal("-1234.5")),
        words.euros(Decimal("1234.9")),
        words.share(Decimal("0.0999")),
        words.share(Decimal("0.9999")),
        words.number(12345),
        words.moment(datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),  # before the clocks go back
        words.month(Month(2026, 10)),
    ]
    plain = [text.replace("\u00a0", " ").replace("\u202f", " ") for text in written]
    assert plain == expected


@pytest.mark.parametrize(
    ("names", "written"),
    [
        ({"sv": "Helsingfors", "fi": "Helsinki"}, "Helsingfors"),
        ({"fi": "Helsinki"}, "Helsinki"),
        ({}, "city"),
        ("HSL", "HSL"),
    ],
)
def test_a_name_that_lacks_a_language_is_told_in_another(names: dict[str, str] | str, written: str) -> None:
    assert name_in("sv", names, "city") == written


def test_a_text_with_a_gap_too_few_is_an_error() -> None:
    with pytest.raises(KeyError):
        Words("fi")("as_of")
