"""Uses of AI, reviewers and policies: what a folder says of them is told when somebody should look at it."""

import json
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from services.shared.bus import Message
from services.shared.bus.memory import MemoryBus
from services.shared.clock import SteppedClock
from services.shared.events import REGISTER, encode, key_of
from services.shared.events.plans import Budget
from services.shared.events.register import (
    ChangeProposed,
    Covered,
    Policy,
    ProposalMade,
    RegisterPublished,
    ReviewerMandate,
    ReviewRule,
    UseCase,
)
from services.usage_collector.register.approval import propose
from services.usage_collector.register.facts import KIND, FactKey, Facts, change_event, digest_of, marker_event
from services.usage_collector.register.folder import load_folder
from services.usage_collector.register.problems import RegisterRefusedError
from services.usage_collector.register.publish import publish
from services.usage_collector.register.versions import PARTITION, changes, read_held
from services.usage_collector.source import Identity

TODAY = date(2026, 11, 22)
FROM = date(2026, 1, 1)
CLOCK = SteppedClock(datetime(2026, 11, 22, 8, tzinfo=UTC))
FILES = {
    "units.yaml": "- {id: city, name: {en: City}, valid_from: 2026-01-01}\n",
    "systems.yaml": "- {id: api, vendor: v, name: API, owner: ict}\n",
}
ALL = ("prohibited", "high_decision", "high_support", "public_text", "limited", "minimal", "unclassified")
CAREFUL = "max_bulk: 0, min_dwell_seconds: 5, one_click: false"
SUSPENDED = "suspended_from: 2026-01-01T00:00:00+02:00"


def written(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in {**FILES, **files}.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def warned(folder: Path, files: Mapping[str, str]) -> list[str]:
    return [warning.code for warning in load_folder(written(folder, files), today=TODAY).warnings]


def use(name: str = "u", risk_class: str = "limited", more: str = "", valid_from: str = "2026-01-01") -> str:
    return (
        f"- {{id: {name}, name: {{en: U}}, unit: city, owner: o, purpose: p, systems: [api], risk_class: {risk_class}, "
        f"valid_from: {valid_from}{', ' if more else ''}{more}}}\n"
    )


def policy(*rules: str, more: str = "", version: int = 1, valid_from: str = "2026-01-01") -> str:
    """A policy with these rules, and for every other class one that nothing is said of."""
    named = {name for name in ALL for rule in rules if f"risk_class: {name}," in rule}
    others = [f"{{risk_class: {name}, gate: never}}" for name in ALL if name not in named]
    return (
        f"- {{id: p, version: {version}, approved_by: Board, valid_from: {valid_from}, "
        f"rules: [{', '.join([*rules, *others])}]{', ' if more else ''}{more}}}\n"
    )


def rule(more: str = "", risk_class: str = "high_decision", gate: str = "before_use") -> str:
    hours = "deadline_business_hours: 16" if gate != "none" else ""
    return "{" + ", ".join(filter(None, (f"risk_class: {risk_class}", f"gate: {gate}", hours, more))) + "}"


def legal(requires: str, more: str = "", day: str = "2027-12-02", name: str = "l") -> str:
    return (
        f"{{id: {name}, on: {day}, risk_classes: [high_support, high_decision], requires: [{requires}], "
        f"article: A{', ' if more else ''}{more}}}"
    )


@pytest.mark.parametrize(
    ("uses", "told"),
    [
        pytest.param(use(), [], id="a limited one that says nothing"),
        pytest.param(use(more="art6_3: narrow, annex_iii: '5(a)'"), [], id="an exception that makes it limited"),
        pytest.param(use(more="art6_3: narrow"), ["unexplained-class"], id="an exception from nothing"),
        pytest.param(use(risk_class="prohibited"), ["prohibited-use"], id="a prohibited one that nobody stopped"),
        pytest.param(use(risk_class="prohibited", more=SUSPENDED), [], id="a prohibited one that was stopped"),
        pytest.param(
            use(risk_class="prohibited", more="environment: test"), [], id="a prohibited one that is not in production"
        ),
        pytest.param(use(risk_class="prohibited", more="valid_to: 2026-11-22"), [], id="a prohibited one of the past"),
        pytest.param(use(risk_class="high_support"), ["unexplained-class"], id="a high one without a reason"),
        pytest.param(
            use(risk_class="high_decision", more="decision_effect: none"), ["unexplained-class"], id="no effect either"
        ),
        pytest.param(use(risk_class="high_decision", more="decision_effect: decision"), [], id="high by its effect"),
        pytest.param(use(risk_class="high_decision", more="annex_iii: '5(a)'"), [], id="high by the annex"),
        pytest.param(
            use("old") + use(more="replaces: [old]"), ["replaced-goes-on"], id="a renamed one that goes on under both"
        ),
        pytest.param(
            use("old", more="valid_to: 2026-06-01") + use(more="replaces: [old]", valid_from="2026-06-01"),
            [],
            id="a renamed one",
        ),
        pytest.param(
            use("old", more="valid_to: 2026-06-01")
            + "".join(use(name, more="replaces: [old]", valid_from="2026-06-01") for name in "ab"),
            [],
            id="one that was split",
        ),
    ],
)
def test_uses_that_somebody_should_look_at(uses: str, told: list[str], tmp_path: Path) -> None:
    assert warned(tmp_path, {"usecases.yaml": uses}) == told


HIGH = "decision_effect: decision"


@pytest.mark.parametrize(
    ("more", "dates", "told"),
    [
        pytest.param(HIGH, [legal("dpia, fria, owner")], ["no dpia, fria of 'u'"], id="two records of three"),
        pytest.param(f"{HIGH}, dpia: D-1, fria: F-1", [legal("dpia, fria")], [], id="all on record"),
        pytest.param(HIGH, [legal("dpia", "annex_iii_only: true")], [], id="a date for the annex only"),
        pytest.param(
            "annex_iii: '5(a)'", [legal("dpia", "annex_iii_only: true")], ["no dpia of 'u'"], id="a use of the annex"
        ),
        pytest.param(HIGH, [legal("dpia", "in_use_before: 2026-06-01")], [], id="nobody knows since when"),
        pytest.param(
            f"{HIGH}, in_use_since: 2026-05-31",
            [legal("dpia", "in_use_before: 2026-06-01")],
            ["no dpia of 'u'"],
            id="in use before",
        ),
        pytest.param(
            f"{HIGH}, in_use_since: 2026-06-01", [legal("dpia", "in_use_before: 2026-06-01")], [], id="in use later"
        ),
        pytest.param(
            f"{HIGH}, in_use_since: 2026-01-01, design_changed_on: 2026-07-01",
            [legal("dpia", "in_use_before: 2026-06-01")],
            [],
            id="changed since",
        ),
        pytest.param(
            HIGH,
            [legal("dpia, fria", day="2030-08-02", name="later"), legal("dpia")],
            ["no dpia of 'u'", "no fria of 'u'"],
            id="each with its earliest date",
        ),
        pytest.param(f"{HIGH}, environment: test", [legal("dpia")], [], id="not in production"),
    ],
)
def test_records_that_the_law_will_ask_for(more: str, dates: list[str], told: list[str], tmp_path: Path) -> None:
    files = {
        "usecases.yaml": use(risk_class="high_support", more=more),
        "policy.yaml": policy(more=f"legal_dates: [{', '.join(dates)}]"),
    }
    folder = load_folder(written(tmp_path, files), today=TODAY)
    assert [warning.found for warning in folder.warnings if warning.code == "missing-record"] == told


def test_a_missing_record_is_told_with_its_date_and_article(tmp_path: Path) -> None:
    dates = [legal("dpia", name="annex-iii"), legal("fria", day="2026-08-02", name="past")]
    files = {
        "usecases.yaml": use(risk_class="high_support", more=HIGH),
        "policy.yaml": policy(more=f"legal_dates: [{', '.join(dates)}]"),
    }
    folder = load_folder(written(tmp_path, files), today=TODAY)
    assert [str(warning) for warning in folder.warnings] == [
        f"usecases.yaml:1: found no {record} of 'u'; expected that on record {when}; "
        f"write for example {record}: {number}"
        for record, when, number in (
            ("dpia", "from 2027-12-02 on (annex-iii: A)", "EX-2026-0301"),
            ("fria", "since 2026-08-02 (past: A)", "EX-2026-0302"),
        )
    ]


def test_a_policy_that_is_over_asks_for_nothing(tmp_path: Path) -> None:
    over = policy(more=f"valid_to: 2026-11-22, legal_dates: [{legal('dpia')}]")
    assert warned(tmp_path, {"usecases.yaml": use(risk_class="high_support", more=HIGH), "policy.yaml": over}) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(policy(rule(CAREFUL)), [], id="decisions looked at one by one"),
        pytest.param(policy(rule()), ["easy-approval"] * 3, id="decisions as other classes"),
        pytest.param(policy(rule(CAREFUL.replace("max_bulk: 0", "max_bulk: 9"))), ["easy-approval"], id="a bulk"),
        pytest.param(
            policy(rule(f'{CAREFUL}, accepted_by_source: {{"m/*": [thumb]}}')), ["easy-approval"], id="a thumb"
        ),
        pytest.param(policy(rule(risk_class="limited", gate="after_use")), [], id="other classes may be approved so"),
        pytest.param(policy(rule(f"{CAREFUL}, capacity: editor")), ["nobody-may-review"], id="nobody is editor"),
        pytest.param(
            policy("{risk_class: limited, gate: after_use}"), ["no-deadline"], id="a review that is never overdue"
        ),
        pytest.param(
            "- {id: p, version: 1, approved_by: B, valid_from: 2026-01-01, rules: []}\n",
            ["class-without-rule"],
            id="no rules",
        ),
        pytest.param(policy(version=2), ["backdated-policy"], id="a new version of a past day"),
        pytest.param(policy(version=2, valid_from="2026-11-22"), [], id="a new version of today"),
        pytest.param(policy(version=2, more="published_on: 2026-01-01"), [], id="published in time"),
        pytest.param(
            policy(version=2, more="published_on: 2026-01-02"), ["backdated-policy"], id="published a day late"
        ),
        pytest.param(
            policy(more="valid_to: 2026-06-01") + policy(version=2, valid_from="2026-12-01"),
            [],
            id="versions that rise",
        ),
    ],
)
def test_policies_that_somebody_should_look_at(text: str, told: list[str], tmp_path: Path) -> None:
    assert warned(tmp_path, {"policy.yaml": text}) == told


def mandate(more: str = "", person: str = "a@c.example") -> str:
    return f"- {{reviewer: {person}, unit: city, valid_from: 2026-01-01{', ' if more else ''}{more}}}\n"


@pytest.mark.parametrize(
    ("mandates", "told"),
    [
        pytest.param(mandate("capacity: editor"), [], id="an editor"),
        pytest.param(mandate("capacity: editor, valid_to: 2026-11-22"), ["nobody-may-review"], id="who is no more"),
        pytest.param(
            mandate("capacity: editor, trained_on: 2026-01-01, trained_until: 2026-11-22"),
            ["training-ended"],
            id="whose training ended today",
        ),
        pytest.param(
            mandate("capacity: editor, trained_on: 2026-01-01, trained_until: 2026-11-23"), [], id="on its last day"
        ),
    ],
)
def test_mandates_that_somebody_should_look_at(mandates: str, told: list[str], tmp_path: Path) -> None:
    files = {"reviewers.yaml": mandates, "policy.yaml": policy(rule("capacity: editor", "public_text"))}
    assert warned(tmp_path, files) == told


def test_whom_a_reviewer_reports_to_leaves_as_a_pseudonym_and_is_asked_for_with_all_others(tmp_path: Path) -> None:
    asked: list[Collection[Identity]] = []

    def who(identities: Collection[Identity]) -> Mapping[Identity, str]:
        asked.append(identities)
        return {identity: f"p-{identity[0].partition('@')[0].lower()}" for identity in identities}

    files = written(tmp_path, {"reviewers.yaml": mandate("reports_to: Boss@c.example")})
    facts = load_folder(files, today=TODAY, who=who).facts
    assert [(fact.reviewer, fact.reports_to) for fact in facts.values() if isinstance(fact, ReviewerMandate)] == [
        ("p-a", "p-boss")
    ]
    assert {("a@c.example",), ("Boss@c.example",)} <= set(asked[0])


def test_who_reports_to_their_own_other_id_is_found(tmp_path: Path) -> None:
    files = {
        "people.csv": "person,unit,valid_from,valid_to,also\na@c.example,city,2026-01-01,,u7\n",
        "reviewers.yaml": mandate("reports_to: U7"),
    }
    with pytest.raises(RegisterRefusedError, match="found a reviewer who reports to themself") as refused:
        load_folder(written(tmp_path, files), today=TODAY)
    assert "u7" not in str(refused.value).lower()


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-02T08:00:00+02:00",
        '"2026-11-02T08:00:00+02:00"',
        "2026-11-02 06:00:00Z",
        "2026-11-02T06:00Z",
        "2026-11-02T06:00:00.000000Z",
    ],
)
def test_moments_with_their_zone(text: str, tmp_path: Path) -> None:
    facts = load_folder(written(tmp_path, {"usecases.yaml": use(more=f"suspended_from: {text}")}), today=TODAY).facts
    (found,) = (fact for fact in facts.values() if isinstance(fact, UseCase))
    assert found.suspended_from == datetime(2026, 11, 2, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["2026-11-02T08:00:00", '"2026-11-02"', "2026-11-02", "1762070400", '"1762070400"', "true", "~", "noon", '""'],
)
def test_moments_that_nobody_could_name(text: str, tmp_path: Path) -> None:
    with pytest.raises(RegisterRefusedError) as refused:
        load_folder(written(tmp_path, {"usecases.yaml": use(more=f"suspended_from: {text}")}), today=TODAY)
    (problem,) = refused.value.problems
    assert "found suspended_from" in str(problem)
    assert "2026-11-0" in problem.write


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+02:00", "9999-12-31T23:59:59-12:00", "2026-02-30T08:00:00Z"])
def test_moments_of_no_time(text: str, tmp_path: Path) -> None:
    with pytest.raises(RegisterRefusedError, match="found suspended_from: "):
        load_folder(written(tmp_path, {"usecases.yaml": use(more=f'suspended_from: "{text}"')}), today=TODAY)


# What a program published that did not know the members of today.

KNOWN_THEN: Mapping[str, frozenset[str]] = {
    "usecase": frozenset(
        {"id", "name", "unit", "owner", "purpose", "systems", "risk_class", "project", "benefit", "valid_from"}
        | {"valid_to"}
    ),
    "reviewer": frozenset({"reviewer", "unit", "use_cases", "trained_on", "valid_from", "valid_to"}),
    "policy": frozenset({"id", "version", "approved_by", "rules", "valid_from", "valid_to"}),
}
RULE_THEN = ("risk_class", "gate", "deadline_business_hours", "accepted_evidence")
OLD_DIGEST = "0" * 64


def facts_then() -> Facts:
    rules = (ReviewRule(risk_class="minimal", gate="none"), ReviewRule(risk_class="limited", gate="after_use"))
    found = {
        "usecase": UseCase(
            id="u",
            name={"en": "U"},
            unit="city",
            owner="o",
            purpose="p",
            systems=("api",),
            risk_class="limited",
            valid_from=FROM,
        ),
        "reviewer": ReviewerMandate(reviewer="p-a", unit="city", trained_on=FROM, valid_from=FROM),
        "policy": Policy(id="p", version=1, approved_by="b", rules=rules, valid_from=FROM),
    }
    return {(kind, KIND[kind].fact_id(fact)): fact for kind, fact in found.items()}


def as_written_then(key: FactKey, value: bytes) -> bytes:
    event = json.loads(value)
    fact = {name: one for name, one in event["data"]["fact"].items() if name in KNOWN_THEN[key[0]]}
    if "rules" in fact:
        fact["rules"] = [{name: one[name] for name in RULE_THEN} for one in fact["rules"]]
    event["data"]["fact"] = fact
    return json.dumps(event).encode()


def bus_then(facts: Facts) -> MemoryBus:
    bus = MemoryBus(CLOCK)
    bus.ensure_topics((REGISTER,))
    for key, fact in facts.items():
        event = change_event(key, 1, fact, CLOCK.now())
        bus.publish([Message(REGISTER.name, key_of(event), as_written_then(key, encode(event)))])
    marker = marker_event(1, len(facts), OLD_DIGEST, CLOCK.now())
    bus.publish([Message(REGISTER.name, key_of(marker), encode(marker))])
    return bus


def test_a_register_of_an_older_program_has_not_changed() -> None:
    facts = facts_then()
    bus = bus_then(facts)
    end = len(bus.read(PARTITION, 0, 1_000))
    held = read_held(bus)
    assert changes(held.facts, facts) == {}
    done = publish(facts, bus, CLOCK)
    assert (done.version, done.changes, done.digest) == (1, 0, OLD_DIGEST), "the digest of the marker that holds"
    assert len(bus.read(PARTITION, 0, 1_000)) == end


def test_what_changes_then_is_said_alone_and_gets_a_digest_of_today() -> None:
    facts = facts_then()
    bus = bus_then(facts)
    key = ("usecase", f"u@{FROM}")
    changed = {**facts, key: facts[key].model_copy(update={"covers": Covered(models=("m",))})}
    done = publish(changed, bus, CLOCK)
    assert (done.version, done.changes, done.digest) == (2, 1, digest_of(changed))
    assert publish(changed, bus, CLOCK) == publish(changed, bus, CLOCK)
    assert read_held(bus).digest == done.digest


def test_a_proposal_of_a_program_with_fewer_members_is_not_made_twice() -> None:
    budget = Budget.model_validate(
        {
            "id": "b",
            "unit": "city",
            "period": 2026,
            "amount": "9.00",
            "currency": "EUR",
            "thresholds": ["0.8"],
            "recipients": ["f"],
        }
    )
    wanted: Facts = {("budget", "b"): budget}
    bus = MemoryBus(CLOCK)
    name = proposed_then(bus, budget)
    again = propose(wanted, bus, CLOCK, "u1", None)
    assert again is not None
    assert again.fact.proposal == name
    assert list(read_held(bus).proposals.open) == [name]


def proposed_then(bus: MemoryBus, budget: Budget) -> str:
    body = json.dumps(budget.model_dump(mode="json", exclude_defaults=True), sort_keys=True)
    digest = sha256(json.dumps([["budget", "b", body]]).encode()).hexdigest()
    shared = {"source": "valvomo/register", "time": CLOCK.now()}
    change = {"proposal": "then", "kind": "budget", "fact_id": "b", "body": body}
    made = {"proposal": "then", "changes": 1, "digest": digest, "author": "u1"}
    events = (
        ChangeProposed.model_validate({**shared, "id": "1", "subject": "b", "data": change}),
        ProposalMade.model_validate({**shared, "id": "2", "subject": "then", "data": made}),
    )
    bus.ensure_topics((REGISTER,))
    bus.publish([Message(REGISTER.name, key_of(event), encode(event)) for event in events])
    return "then"


def test_the_marker_in_force_is_the_one_whose_digest_is_told() -> None:
    bus = bus_then(facts_then())
    stray = marker_event(1, 0, "f" * 64, CLOCK.now())
    assert isinstance(stray, RegisterPublished)
    bus.publish([Message(REGISTER.name, key_of(stray), encode(stray))])
    assert read_held(bus).digest == OLD_DIGEST
