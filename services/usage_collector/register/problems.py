"""What is wrong with a register folder, so that who wrote it can mend it without asking anybody."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from services.shared.errors import ConfigurationError

Code = Literal[
    "ambiguous-tariffs",
    "amendment-outside-year",
    "bad-column",
    "bad-csv",
    "bad-row",
    "bad-value",
    "bare-boolean",
    "bare-number",
    "carry-over",
    "credit-in-credits",
    "credit-rounding",
    "credit-without-price",
    "cycle",
    "duplicate-entry",
    "duplicate-member",
    "empty-value",
    "ended-unit",
    "endless-term",
    "escalation",
    "float",
    "legal-date",
    "mail-address",
    "missing-file",
    "missing-member",
    "no-exchange-rate",
    "not-a-day",
    "not-a-folder",
    "not-a-list",
    "not-a-moment",
    "not-an-entry",
    "not-readable",
    "not-yaml",
    "nothing-left",
    "notice",
    "overlapping-discounts",
    "overlapping-placements",
    "overlapping-tariffs",
    "overlapping-terms",
    "overlapping-versions",
    "own-superior",
    "policy-version",
    "profiling",
    "reference",
    "reserved-unit",
    "sample-without-review",
    "seat-price",
    "shared-identity",
    "suspension",
    "tab",
    "thresholds",
    "time-zone",
    "training",
    "two-budgets",
    "two-models",
    "two-rules-per-class",
    "unknown-currency",
    "unknown-file",
    "unknown-member",
    "vat-rate",
    "yaml-feature",
]
"""Why a folder is refused."""

WarningCode = Literal[
    "backdated-policy",
    "class-without-rule",
    "differs-from-list",
    "easy-approval",
    "future-check",
    "future-rate",
    "future-result",
    "gap",
    "missing-exchange-rates",
    "missing-record",
    "no-deadline",
    "nobody-may-review",
    "old-exchange-rates",
    "old-price",
    "outside-validity",
    "past-plan",
    "prohibited-use",
    "replaced-goes-on",
    "result-without-target",
    "rule-without-effect",
    "training-ended",
    "unexplained-class",
    "unknown-vendor",
]
"""What a person should look at; the folder can be published all the same."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing to mend: where it stands (`line` counts from 1), what was found and expected, and what to write."""

    file: str
    line: int
    code: Code | WarningCode
    found: str
    expected: str
    write: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: found {self.found}; expected {self.expected}; {self.write}"


class RegisterRefusedError(ConfigurationError):
    """The folder cannot be used as it is. Nothing of it was published."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        many = "problem" if len(self.problems) == 1 else "problems"
        super().__init__("\n".join([*map(str, self.problems), f"{len(self.problems)} {many}; nothing was published"]))
