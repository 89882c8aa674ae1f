"""From a vendor's signal at the door to what the log makes of it: it clears a duty only where the policy says so."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from services.audit_log.adapters.tables import finding
from services.shared.access import ANYBODY, Holder
from services.shared.events.register import Policy, ReviewRule
from services.shared.periods import timestamp
from services.shared.relay import BusRelay
from services.shared.settings import Settings
from services.shared.store import Store
from services.shared.store.open import open_store
from services.usage_collector.adapters.people import StoredPeople
from services.usage_collector.adapters.tables import METADATA
from services.usage_collector.intake import Intake, keyed_hash
from services.usage_collector.otlp.carriage import JSON, Signal
from services.usage_collector.otlp.receiver import receive
from services.usage_collector.people import People
from tests.contract.log_contract import Program
from tests.unit.audit_log.events import POLICY, at, register_events

AINO, EERO = "aino@kaupunki.example", "eero@kaupunki.example"
REVIEWED_BY_EERO = {"valvomo.reviewer": EERO}
NOTHING: tuple[str, ...] = ()


def policy(**accepted: Mapping[str, tuple[str, ...]]) -> Policy:
    """The test city's policy with what it accepts of each source, by class."""
    rules = [rule.model_copy(update={"accepted_by_source": accepted.get(rule.risk_class, {})}) for rule in POLICY.rules]
    return POLICY.model_copy(update={"rules": tuple(ReviewRule.model_validate(rule.model_dump()) for rule in rules)})


class City(Program):
    """The collector's door and the log behind it, on one bus."""

    def __init__(self, settings: Settings, collector: Store) -> None:
        super().__init__(settings)
        self.people = People(bytes(32), StoredPeople(collector, self.clock))
        self.intake = Intake(self.bus, keyed_hash(bytes(32)), self.people.pseudonym, self.clock)
        self.relay = BusRelay(collector, self.bus, self.clock)

    def sends(self, signal: Signal, document: object, holder: Holder = ANYBODY) -> None:
        answer = receive(signal, JSON, json.dumps(document).encode(), holder, self.intake)
        assert json.loads(answer.body) == {}, "nothing is rejected"

    def answers(self, **use_cases: str) -> None:
        """One answer of a chatbot for Aino, per id, in these use cases."""
        spans = [
            {
                "traceId": f"{number:032x}",
                "spanId": f"{number:016x}",
                "name": "chat",
                "startTimeUnixNano": nanoseconds(0),
                "endTimeUnixNano": nanoseconds(0),
                "attributes": pairs(
                    {
                        "gen_ai.operation.name": "chat",
                        "gen_ai.response.id": answer,
                        "gen_ai.request.model": "m",
                        "valvomo.use_case": use_case,
                        "user.email": AINO,
                    }
                ),
            }
            for number, (answer, use_case) in enumerate(use_cases.items(), 1)
        ]
        scoped = [{"scope": {"name": "s"}, "spans": spans}]
        self.sends("traces", {"resourceSpans": [{"resource": resource("chatbot"), "scopeSpans": scoped}]})

    def evaluates(
        self, answers: Sequence[str], said: Mapping[str, str], *, holder: Holder = ANYBODY, after: float = 1
    ) -> None:
        """Each answer passes, so many hours later, in the program where people review."""
        attributes = {"gen_ai.evaluation.name": "human_review", "gen_ai.evaluation.score.label": "pass"}
        records = [
            {
                "timeUnixNano": nanoseconds(after),
                "eventName": "gen_ai.evaluation.result",
                "attributes": pairs({**attributes, "gen_ai.response.id": answer, **said}),
            }
            for answer in answers
        ]
        scoped = [{"scope": {}, "logRecords": records}]
        document = {"resourceLogs": [{"resource": resource("review-desk"), "scopeLogs": scoped}]}
        self.sends("logs", document, holder)

    def settle(self) -> None:
        while self.relay.step() == 0.0:
            pass
        super().settle()

    def findings(self) -> set[tuple[str | None, str]]:
        with self.service.store.reading() as connection:
            return {(row.output_id, row.kind) for row in connection.execute(select(finding))}


def nanoseconds(hours: float) -> str:
    return str(int(at(hours).timestamp()) * 1_000_000_000)


def pairs(attributes: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": found}} for key, found in attributes.items()]


def resource(service: str) -> dict[str, Any]:
    return {"attributes": pairs({"service.name": service})}


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    settings = Settings(data_dir=tmp_path)
    with closing(open_store(settings, "collector", METADATA)) as collector:
        found = City(settings, collector)
        yield found
        found.close()


def test_a_persons_review_clears_a_duty_only_where_the_policy_takes_it(city: City) -> None:
    """The city lets the desk speak of what it tells citizens, and of decisions about them it does not."""
    city.publish(*register_events(policies=(policy(high_decision={"otlp/*": NOTHING}),)))
    city.answers(told="chat", decided="benefits")
    city.evaluates(["told", "decided"], REVIEWED_BY_EERO)
    city.settle()
    city.clock.set(at(2))
    city.settle()
    assert city.states() == {"told": "approved", "decided": "pending"}
    city.clock.set(at(100))
    city.settle()
    assert city.states() == {"told": "approved", "decided": "overdue"}
    assert city.findings() == {("decided", "overdue_review")}


def test_what_a_model_says_clears_nothing_and_is_told_when_the_review_is_overdue(city: City) -> None:
    city.publish(*register_events())
    city.answers(told="chat")
    city.evaluates(["told"], {})
    city.settle()
    assert city.states() == {"told": "pending"}
    city.clock.set(at(24 * 10))
    city.settle()
    assert city.findings() == {("told", "overdue_review"), ("told", "no_person_reviewed")}


def test_a_token_cannot_clear_what_another_system_made(city: City) -> None:
    city.publish(*register_events())
    city.answers(told="chat")
    desk = Holder("desk", frozenset({"otlp"}), frozenset(), ("payroll",), ("otlp/*",))
    city.evaluates(["told"], REVIEWED_BY_EERO, holder=desk)
    city.settle()
    assert city.states() == {"told": "pending"}
    city.evaluates(["told"], {**REVIEWED_BY_EERO, "gen_ai.evaluation.score.label": "fail"}, holder=desk, after=2)
    city.settle()
    assert city.states() == {"told": "pending"}, "nor speak against it"
    city.evaluates(["told"], {**REVIEWED_BY_EERO, "valvomo.system": "chatbot"}, after=3)
    city.settle()
    assert city.states() == {"told": "approved"}


def test_who_has_two_pseudonyms_cannot_review_their_own_request(city: City) -> None:
    city.publish(*register_events())
    city.answers(told="chat")
    city.evaluates(["told"], {"valvomo.reviewer": "vendor-id-of-aino"})
    city.settle()
    assert city.states() == {"told": "approved"}, "nobody knows yet that these are one person"
    city.people.pseudonyms([(AINO, "vendor-id-of-aino")])
    city.settle()
    assert city.states() == {"told": "pending"}
    assert city.findings() == {("told", "self_review")}


@pytest.mark.parametrize(
    ("evidence", "accepted", "state"),
    [
        pytest.param("thumb", {}, "approved", id="the class takes thumbs"),
        pytest.param("thumb", {"apps/*": ("explicit_accept",)}, "pending", id="but not from there"),
        pytest.param("explicit_accept", {"apps/*": ("thumb",)}, "pending", id="from there only thumbs"),
        pytest.param("thumb", {"otlp/*": NOTHING}, "approved", id="the exception is for another source"),
        pytest.param(
            "none", {"apps/*": ("explicit_accept", "edited", "thumb")}, "pending", id="nothing is no evidence"
        ),
    ],
)
def test_every_grade_is_weighed_by_its_source(
    city: City, evidence: str, accepted: dict[str, tuple[str, ...]], state: str
) -> None:
    city.publish(*register_events(policies=(policy(limited=accepted),)))
    city.answers(told="chat")
    said = {"review_id": "r", "decided_at": timestamp(at(1)), "decision": "approved", "reviewer": EERO}
    review = {
        "specversion": "1.0",
        "type": "valvomo.ai.review.decided.v1",
        "source": "apps/desk",
        "id": "r",
        "subject": "told",
        "time": timestamp(at(1)),
        "data": {"output_id": "told", "evidence": evidence, **said},
    }
    assert city.intake.accept([review], ANYBODY).accepted == 1
    city.settle()
    assert city.states() == {"told": state}


def test_a_persons_and_a_settings_yes_to_an_agents_change_demand_nothing(city: City) -> None:
    """A step of an agent's run: on record with who let it, and no flood of findings where no use case covers it."""
    city.publish(*register_events())
    decided = {"event.name": "tool_decision", "tool_name": "Edit", "decision": "accept", "user.email": AINO}
    records = [
        {
            "timeUnixNano": nanoseconds(1),
            "attributes": pairs({**decided, "tool_use_id": name, "source": source, "valvomo.use_case": use_case}),
        }
        for use_case in ("drafts", "benefits", "nobody-knows")
        for name, source in ((f"{use_case}-asked", "user_temporary"), (f"{use_case}-let", "config"))
    ]
    scoped = [{"scope": {}, "logRecords": records}]
    city.sends("logs", {"resourceLogs": [{"resource": resource("claude-code"), "scopeLogs": scoped}]})
    city.settle()
    city.clock.set(at(100))
    city.settle()
    assert set(city.states().values()) == {"exempt"}
    assert len(city.states()) == 6
    assert city.findings() == set()
