"""Kill the senders anywhere: every message arrives at least once, the same each time; each delivery is told once."""

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.cost_alerts.handlers.outgoing import letters
from services.shared.clock import SystemClock
from services.shared.events import decode
from services.shared.events.outcomes import AlertSent
from tests.crash.telling_life import live
from tests.servers.process import dies_with_us
from tests.servers.receiver import Receiver, receiving
from tests.unit.cost_alerts.alerts import ROLE, crossing, ledger, letter
from tests.unit.cost_alerts.inbox import Inbox, server

LETTERS = 15


@contextmanager
def process(folder: Path, smtp: str, *hold: str) -> Iterator[subprocess.Popen[str]]:
    command = dies_with_us([sys.executable, "-m", "tests.crash.telling_life", str(folder), smtp, *hold])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def killed_at(folder: Path, smtp: str, *hold: str) -> None:
    with process(folder, smtp, *hold) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "hold\n"


def killed_any_time(folder: Path, smtp: str, inbox: Inbox, seconds: float) -> None:
    """Some moments after it has begun to send."""
    before = len(inbox.mails)
    with process(folder, smtp) as child:
        while len(inbox.mails) == before and child.poll() is None:
            time.sleep(0.005)
        time.sleep(seconds)


def prepare(folder: Path, receiver: Receiver) -> list[str]:
    """Fill an outbox; the ids of its messages."""
    (folder / "recipients.yaml").write_text(
        f"{ROLE}: {{language: sv, addresses: [a@city.example, b@city.example], webhook: '{receiver.address}/x'}}\n"
    )
    found = [letter(crossing(f"0.{number:03d}")) for number in range(1, LETTERS + 1)]
    messages = [message for one in found for message in letters(one, [ROLE])]
    with ledger(folder) as store, store.transaction() as tx:
        tx.send(messages)
    return [one.message_id for one in messages if one.destination != "teams"]


def test_killed_anywhere_everything_arrives_and_each_delivery_is_told_once(tmp_path: Path) -> None:
    chance = random.Random(5)
    inbox = Inbox()
    with receiving() as receiver, server(inbox) as smtp:
        expected = prepare(tmp_path, receiver)
        killed_at(tmp_path, smtp, "delivered", "3")
        killed_at(tmp_path, smtp, "noted", "4")
        killed_any_time(tmp_path, smtp, inbox, chance.uniform(0.0, 0.1))
        live(tmp_path, smtp)

    mails = [(mail["message-id"].strip("<> \n").partition("@")[0], mail.as_bytes()) for _, mail in inbox.mails]
    hooks = [(headers["webhook-id"], body) for _, headers, body in receiver.came]
    assert {name for name, _ in mails + hooks} == set(expected)
    assert len(mails) > LETTERS, "nobody died between a delivery and its note"
    assert len(set(mails)) == len(set(hooks)) == LETTERS  # again, but the same
    assert all(to == ["a@city.example", "b@city.example"] for to, _ in inbox.mails)
    with ledger(tmp_path) as store:
        waiting = store.pending(["bus"], SystemClock().now(), 1_000)
    sent = [event for event in (decode(one.message.value) for one in waiting) if isinstance(event, AlertSent)]
    assert Counter(event.data.channel for event in sent) == {"mail": LETTERS, "webhook": LETTERS}
    assert len({event.id for event in sent}) == 2 * LETTERS
