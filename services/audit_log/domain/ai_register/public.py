"""The public AI register as a document, version 1: what anybody may read about a city's uses of AI.

It names no person and no reviewer, and no number that is so small that it would tell of single persons. The JSON schema
in `docs/schemas/public/` is made from these models; a member is never removed and never changes its meaning within a
version.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.shared.events.governance import RiskClass
from services.shared.events.outcomes import CostBand
from services.shared.events.register import UseCase

FORMAT: Literal["urn:valvomo:public:ai-register:1"] = "urn:valvomo:public:ai-register:1"
FEWEST_OUTPUTS = 20
"""Fewer outputs than this are told as `under_20`."""
ROUNDED_TO = 10
"""Numbers are cut to whole tens: else the difference of two days would be as small a number as is not told."""
FEWEST_DUE = 30
"""A share of fewer reviews than this is not told."""

DecisionEffect = Literal["none", "preparatory", "decision"]
Channel = Literal["internal", "citizen_chat", "public_text", "decision", "code"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Text(_Part):
    """A text in the city's languages."""

    fi: str = Field(description="Finnish.")
    sv: str = Field(description="Swedish.")
    en: str = Field(description="English.")


class NumberOfOutputs(_Part):
    """How many outputs; small numbers are not told, nor small differences between two days."""

    number: int | None = Field(
        description="There were at least so many, cut to whole tens, when there were 20 or more; else null.",
        ge=FEWEST_OUTPUTS,
        multiple_of=ROUNDED_TO,
    )
    told: Literal["at_least", "under_20"] = Field(
        description="Whether the number is told, or only that it is under 20."
    )


class PublicUnit(_Part):
    """Who uses it."""

    id: str = Field(description="The unit's id in the city's register.")
    name: Text = Field(description="The unit's name.")
    above: list[Text] = Field(description="Names of the units above it, the nearest first, the city itself last.")


class PublicSystem(_Part):
    """A system that the use relies on."""

    id: str = Field(description="The system's id in the city's register.")
    name: Text = Field(description="The system's name.")
    supplier: str = Field(description="Who sells or makes it, by its id in the city's register.")
    region: str | None = Field(description="Where its data is processed; null: not recorded.")


class PublicRisk(_Part):
    """How risky the use is, by the EU's AI Act (Regulation (EU) 2024/1689) and the city's policy."""

    risk_class: RiskClass = Field(description="The class by the city's policy.")
    name: Text = Field(description="The class in words.")
    explained: Text = Field(description="What the class means for who is concerned, and which risks it has.")
    annex_iii: str | None = Field(description='The point of Annex III of the AI Act, as "5(a)"; null: none.')
    exception: str | None = Field(description="The exception of Article 6(3) that the city claims, in its own words.")
    profiling: bool = Field(description="Whether it profiles persons.")


class PublicData(_Part):
    """What data it works with."""

    explained: Text = Field(description="Which data it works with, as far as the register tells, and what is kept.")
    regions: list[str] = Field(description="Where the systems process data, as far as it is recorded.")


class PublicOversight(_Part):
    """How people watch over it."""

    explained: Text = Field(description="What the city's review policy demands of people, in words.")
    gate: Literal["never", "before_use", "after_use", "none"] | None = Field(
        description="Whether a person reviews outputs before their use, after it, or not; `never`: the use is "
        "forbidden; null: the policy has no rule for this class."
    )
    reviews_due: NumberOfOutputs = Field(description="Outputs whose review was due in the last 365 days.")
    share_reviewed: str | None = Field(
        description='The share of these that a person has reviewed, from "0.00" to "1.00", cut to two decimals; null: '
        "fewer than 30 were due.",
        pattern=r"^(0\.[0-9]{2}|1\.00)$",
    )


class PublicRecords(_Part):
    """What is on record about it. Null: nothing is recorded."""

    data_protection_assessment: str | None = Field(description="Reference of the assessment of Article 35 GDPR.")
    fundamental_rights_assessment: str | None = Field(description="Reference of the assessment of Article 27 AI Act.")
    prohibited_practices_checked_on: date | None = Field(
        description="The day on which it was compared with the prohibited practices of Article 5 AI Act."
    )
    eu_database_id: str | None = Field(description="Its id in the EU's database of high-risk systems.")
    authority: str | None = Field(description="The authority that supervises it.")
    workers_informed_on: date | None = Field(description="The day on which the workers were informed.")
    persons_are_told_by: str | None = Field(description="How the persons concerned are told that AI takes part.")


class PublicLiveUse(_Part):
    """How much it is used, counted from the log of outputs, not declared."""

    in_use_since: date | None = Field(description="The first day of use; null: not recorded.")
    suspended: bool = Field(description="Whether the city has stopped its use for the time being.")
    outputs_last_30_days: NumberOfOutputs = Field(description="Outputs of the last 30 days.")
    outputs_last_90_days: NumberOfOutputs = Field(description="Outputs of the last 90 days.")
    last_used_month: str | None = Field(
        description="The month (YYYY-MM, Helsinki) of the newest output; null: the log has none.",
        pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$",
    )


class PublicCost(_Part):
    """What it costs."""

    band: CostBand = Field(description="Euro of the last twelve whole months, without value added tax, as a band.")
    name: Text = Field(description="The band in words.")
    as_of: date = Field(description="The day since when this band is known.")


class PublicBenefit(_Part):
    """What it is to bring, and brings."""

    measure: str = Field(description="What is counted, in words.")
    counts: Literal["cases", "hours"] = Field(description="Whether cases or working hours are counted.")
    baseline: str = Field(description="Per month, before. A decimal number.")
    target: str = Field(description="Per month, wanted. A decimal number.")
    latest_month: str | None = Field(description="The last month (YYYY-MM) that a result was reported for.")
    latest_result: str | None = Field(description="That result. A decimal number.")


class PublicUse(_Part):
    """One use of AI."""

    id: str = Field(description="Its id in the city's register: name it when you ask about it.")
    name: Text = Field(description="Its name.")
    purpose: str = Field(description="What it does and why, in the city's own words.")
    unit: PublicUnit = Field(description="The unit that uses it.")
    responsible: str = Field(description="Who is responsible for it, as a role.")
    risk: PublicRisk = Field(description="How risky it is.")
    decision_effect: DecisionEffect | None = Field(
        description="Its effect on decisions about persons; null: not recorded."
    )
    channel: Channel | None = Field(description="Where people meet it; null: not recorded.")
    systems: list[PublicSystem] = Field(description="Which systems it relies on.")
    data: PublicData = Field(description="The data it works with.")
    oversight: PublicOversight = Field(description="Oversight by people, as demanded and as done.")
    records: PublicRecords = Field(description="What is on record about it.")
    live_use: PublicLiveUse = Field(description="How much it is used.")
    cost: PublicCost | None = Field(description="What it costs; null: not known yet.")
    benefit: PublicBenefit | None = Field(description="What it is to bring; null: nothing was declared.")
    asking: Text = Field(description="How to ask about it, or for a review by a person.")


class PublicRegister(_Part):
    """A city's uses of AI, the prohibited and the high-risk ones of each unit first."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="Public AI register")

    format: Literal["urn:valvomo:public:ai-register:1"] = Field(description="Which schema this follows.")
    made_at: datetime = Field(description="When it was made (UTC).")
    publisher: Text = Field(description="Whose register it is.")
    contact: str | None = Field(description="Where to write with questions; null: not told.")
    explained: Text = Field(description="How to read the numbers.")
    use_cases: list[PublicUse] = Field(description="The uses that hold today and that the city shows.")


def public_schema() -> Mapping[str, Any]:
    """The JSON Schema (draft 2020-12) of the document."""
    made = PublicRegister.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": FORMAT, **made}


def is_public(use_case: UseCase) -> bool:
    """Whether the city shows it to everybody. What is not in production is nobody's register."""
    return use_case.public and use_case.environment == "production"
