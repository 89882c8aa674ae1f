"""Every kind of alert reaches real SMTP, Teams and webhook receivers: once, in three languages."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.cost_alerts.delivery.wiring import build_notifiers
from services.cost_alerts.domain.alerts.letter import Letter
from services.cost_alerts.handlers.outgoing import letters
from services.shared.clock import SteppedClock
from services.shared.events import decode
from services.shared.events.outcomes import AlertSent
from services.shared.settings import Settings
from services.shared.store import Store
from services.shared.web.words import LANGUAGES
from tests.servers.receiver import Receiver, receiving
from tests.unit.cost_alerts.alerts import NOON, condition_letter, ledger
from tests.unit.cost_alerts.delivery.test_letters import EVERY_KIND
from tests.unit.cost_alerts.inbox import Inbox, server

LETTERS: list[Letter] = [*EVERY_KIND.values(), condition_letter("no_data", resolved=True)]
ROLES = {language: f"finance-{language}" for language in LANGUAGES}
SUBJECTS = {
    "fi": ["Kirjastopalvelut: tekoälybudjetista käytetty", "Copilot: varanto ehtyy", "Ohi – Copilot"],
    "sv": ["Bibliotekstjänster: 80 % av AI-budgeten", "Copilot: potten tar slut", "Avklarat – Copilot"],
    "en": ["Library <Services>: 80% of the AI budget", "Copilot: the pool runs dry", "Resolved – Copilot"],
}


@contextmanager
def everything(folder: Path) -> Iterator[tuple[Settings, Inbox, Receiver]]:
    """Servers of every kind, and settings that lead to them."""
    inbox = Inbox()
    with server(inbox) as smtp, receiving() as receiver:
        recipients = folder / "recipients.yaml"
        recipients.write_text("".join(_entry(role, language, receiver) for language, role in ROLES.items()))
        yield (
            Settings(
                data_dir=folder,
                smtp_url=SecretStr(f"smtp://{smtp}"),
                mail_from="valvomo@city.example",
                recipients_file=recipients,
                public_url="https://valvomo.city.example",
            ),
            inbox,
            receiver,
        )


def _entry(role: str, language: str, receiver: Receiver) -> str:
    ways = f"webhook: '{receiver.address}/hook/{language}', teams: '{receiver.address}/teams/{language}'"
    return f"{role}: {{language: {language}, addresses: ['{language}@city.example'], {ways}}}\n"


def outcomes(store: Store) -> Counter[str]:
    waiting = store.pending(["bus"], NOON, 1_000)
    sent = [event for event in (decode(one.message.value) for one in waiting) if isinstance(event, AlertSent)]
    return Counter(one.id for one in sent)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with ledger(tmp_path) as opened:
        yield opened


def test_every_kind_arrives_once_by_every_way_in_every_language(store: Store, tmp_path: Path) -> None:
    with everything(tmp_path) as (settings, inbox, receiver):
        with store.transaction() as tx:
            tx.send([message for letter in LETTERS for message in letters(letter, ROLES.values())])
        notifiers = build_notifiers(settings, store, SteppedClock(NOON))
        for one in (*notifiers, *notifiers):
            one.step()

    assert store.pending_counts() == {("bus", "waiting"): 3 * 3 * len(LETTERS)}
    assert set(outcomes(store).values()) == {1}
    for language in LANGUAGES:
        subjects = [str(mail["subject"]) for to, mail in inbox.mails if to == [f"{language}@city.example"]]
        plain = [one.replace("\u00a0", " ") for one in subjects]
        assert len(plain) == len(set(plain)) == len(LETTERS)
        for expected in SUBJECTS[language]:
            assert sum(one.startswith(expected) for one in plain) == 1
        cards = [json.loads(body) for path, _, body in receiver.came if path == f"/teams/{language}"]
        titles = [one["attachments"][0]["content"]["body"][1]["text"] for one in cards]
        assert sorted(titles) == sorted(subjects)
        hooks = [json.loads(body)["data"] for path, _, body in receiver.came if path == f"/hook/{language}"]
        assert sorted(one["title"] for one in hooks) == sorted(subjects)
        assert {one["language"] for one in hooks} == {language}
    ids = [headers["webhook-id"] for _, headers, _ in receiver.came if "webhook-id" in headers]
    assert len(ids) == len(set(ids)) == 3 * len(LETTERS)
