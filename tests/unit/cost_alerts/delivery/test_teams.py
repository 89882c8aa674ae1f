"""Alerts to a Teams Workflow: one card, at an address that is a secret, with patience when there is too much."""

import json
import time

import pytest

from services.cost_alerts.delivery.notifier import UndeliverableError
from services.cost_alerts.delivery.posting import Poster
from services.cost_alerts.delivery.teams import Teams
from services.shared.errors import TransientError
from tests.servers.receiver import Receiver, receiving
from tests.unit.cost_alerts.alerts import LINKS, condition_letter, letter, parcel, recipient


def teams(timeout_seconds: float = 5.0) -> Teams:
    return Teams(Poster("the Teams Workflow", timeout_seconds=timeout_seconds), LINKS)


def workflow(receiver: Receiver) -> str:
    return f"{receiver.address}/workflows/1/triggers/manual/paths/invoke?sig=very-secret"


def test_a_card_in_the_language_of_the_role() -> None:
    with receiving() as receiver:
        assert teams().deliver(parcel(recipient(language="sv", teams=workflow(receiver))))
    [(path, headers, body)] = receiver.came
    content = json.loads(body)["attachments"][0]["content"]
    assert path.endswith("invoke?sig=very-secret")
    assert headers["content-type"].startswith("application/json")
    assert content["body"][1]["text"].startswith("Bibliotekstjänster: 80")
    assert [one["title"] for one in content["actions"]] == ["Se varifrån kostnaden kommer", "Kvittera som sedd"]


def test_what_waited_together_is_one_card() -> None:
    with receiving() as receiver:
        teams().deliver(parcel(recipient(teams=workflow(receiver)), letter(), condition_letter("anomaly")))
    [(_, _, body)] = receiver.came
    assert json.loads(body)["attachments"][0]["content"]["body"][0]["text"] == "AI costs: 2 messages"


def test_a_role_without_a_workflow_is_told_nothing() -> None:
    assert not teams().deliver(parcel(None))
    assert not teams().deliver(parcel(recipient("a@city.example")))


def test_too_many_at_once_are_tried_again_when_teams_says() -> None:
    with receiving() as receiver:
        receiver.status, receiver.headers = 429, {"Retry-After": "37"}
        with pytest.raises(TransientError, match="answered 429") as found:
            teams().deliver(parcel(recipient(teams=workflow(receiver))))
    assert found.value.retry_after_seconds == 37
    assert "very-secret" not in str(found.value)


def test_a_workflow_that_is_gone_is_asked_no_more() -> None:
    with receiving() as receiver:
        receiver.status = 410
        with pytest.raises(UndeliverableError, match="the Teams Workflow answered 410"):
            teams().deliver(parcel(recipient(teams=workflow(receiver))))


def test_a_workflow_that_hangs_is_left_in_time() -> None:
    with receiving() as receiver:
        receiver.drips = True
        began = time.monotonic()
        with pytest.raises(TransientError, match="did not answer within"):
            teams(0.3).deliver(parcel(recipient(teams=workflow(receiver))))
        assert time.monotonic() - began < 5
