"""Mails: what they say in each language, how they reach a real SMTP server, and what of its refusals is for good."""

import email.policy
import smtplib
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from pathlib import Path

import pytest
from aiosmtpd.smtp import AuthResult, LoginPassword

from services.cost_alerts.delivery.mail import MailFiles, SmtpMail, mail
from services.cost_alerts.delivery.notifier import NobodyError, ServerAwayError, UndeliverableError
from services.cost_alerts.delivery.recipients import Recipient
from services.shared.errors import ConfigurationError, TransientError
from services.shared.smtp import MailServer, Postman
from services.shared.web.words import Language
from tests.unit.cost_alerts.alerts import LINK, LINKS, condition_letter, letter, parcel, recipient
from tests.unit.cost_alerts.inbox import Inbox, server

SENDER = "Valvomo <valvomo@city.example>"


def sender(url: str) -> SmtpMail:
    return SmtpMail(MailServer.parse(url), SENDER, LINKS, patience_seconds=2)


def text_of(message: EmailMessage, kind: str = "plain") -> str:
    body = message.get_body((kind,))
    assert body is not None
    content: str = body.get_content()
    return content.replace("\u00a0", " ").replace("\u202f", " ")


@pytest.mark.parametrize(
    ("language", "subject", "sentences"),
    [
        pytest.param(
            "fi",
            "Kirjastopalvelut: tekoälybudjetista käytetty 80 % (raja 80 %)",
            ["7 234,57 €", "9 000,00 €", "Jäljellä: 1 765,43 €", "20.11.2026 12:00", "Kustannuspaikka: 4110005"],
            id="Finnish",
        ),
        pytest.param(
            "sv",
            "Bibliotekstjänster: 80 % av AI-budgeten använd (gräns 80 %)",
            ["7 234,57 €", "9 000,00 €", "Kvar: 1 765,43 €", "20.11.2026 12:00", "Kostnadsställe: 4110005"],
            id="Swedish",
        ),
        pytest.param(
            "en",
            "Library <Services>: 80% of the AI budget is used (threshold 80%)",
            ["€7,234.57", "€9,000.00", "Left: €1,765.43", "20 Nov 2026 12:00", "Cost centre: 4110005"],
            id="English",
        ),
    ],
)
def test_a_mail_says_who_what_how_much_since_when_and_where(
    language: Language, subject: str, sentences: list[str]
) -> None:
    found = mail(parcel(recipient("a@city.example", language=language)), SENDER, LINKS)
    text = text_of(found)
    assert str(found["subject"]).replace("\u00a0", " ") == subject
    assert found["content-language"] == language
    for sentence in [*sentences, LINK, "kirjasto-2026", "finance-kymp"]:
        assert sentence in text
    assert f'lang="{language}"' in text_of(found, "html")


def test_html_is_escaped() -> None:
    html = text_of(mail(parcel(recipient("a@city.example")), SENDER, LINKS), "html")
    assert "Library &lt;Services&gt;" in html
    assert "<Services>" not in html


def test_the_picture_comes_along_and_the_html_names_it() -> None:
    found = message_from_bytes(
        mail(parcel(recipient("a@city.example")), SENDER, LINKS).as_bytes(), policy=email.policy.default
    )
    kinds = [part.get_content_type() for part in found.walk()]
    assert kinds == ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"]
    picture = list(found.walk())[-1]
    assert picture.get_content().startswith(b"\x89PNG")
    assert picture.get_content_disposition() == "inline"
    assert f"cid:{picture['content-id'].strip('<>')}" in text_of(found, "html")


def test_a_digest_is_one_mail_without_a_picture() -> None:
    both = parcel(recipient("a@city.example", language="fi"), letter(), condition_letter("anomaly"))
    found = mail(both, SENDER, LINKS)
    assert found["subject"] == "Tekoälyn kustannukset: 2 viestiä"
    assert [part.get_content_type() for part in found.walk()] == ["multipart/alternative", "text/plain", "text/html"]


@pytest.mark.parametrize("ending", ["\u2028", "\u2029", "\x85"])
def test_a_name_that_would_break_a_header_is_one_line(ending: str) -> None:
    found = condition_letter("price_missing", about=f"copilot gpt{ending}Bcc: x@evil.example")
    made = mail(parcel(recipient("a@city.example"), found), SENDER, LINKS)
    assert "gpt Bcc: x@evil.example" in made["subject"]
    assert made["bcc"] is None
    nobody = replace(parcel(None, found), role=f"finance{ending}kymp")
    assert mail(nobody, SENDER, LINKS)["to"].groups[0].display_name == "finance kymp"


def test_the_same_alert_is_the_same_bytes_each_time() -> None:
    first, second = (mail(parcel(recipient("a@city.example")), SENDER, LINKS).as_bytes() for _ in range(2))
    assert first == second


def test_a_real_server_gets_it_with_a_message_id_of_its_own() -> None:
    inbox = Inbox()
    found = parcel(recipient("a@city.example", "b@city.example"))
    with server(inbox) as address:
        assert sender(f"smtp://{address}").deliver(found)
    [(to, message)] = inbox.mails
    assert to == ["a@city.example", "b@city.example"]
    assert message["message-id"].strip() == f"<{found.message_id}@city.example>"
    assert message["auto-submitted"] == "auto-generated"
    assert message["from"] == SENDER
    assert "€7,234.57" in text_of(message)


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # that is what is tested
def test_a_password_is_given_to_this_machine_and_a_wrong_one_is_tried_again() -> None:
    def check(_server: object, _session: object, _envelope: object, _mechanism: str, data: object) -> AuthResult:
        return AuthResult(success=isinstance(data, LoginPassword) and data.password == b"s/cret")

    inbox = Inbox()
    with server(inbox, authenticator=check) as address:
        assert sender(f"smtp://valvomo:s%2Fcret@{address}").deliver(parcel(recipient("a@city.example")))
        with pytest.raises(TransientError, match="the mail server") as found:
            sender(f"smtp://valvomo:wrong@{address}").deliver(parcel(recipient("a@city.example")))
    assert len(inbox.mails) == 1
    assert "wrong" not in str(found.value)


def test_a_password_does_not_leave_this_machine_without_tls() -> None:
    abroad = Postman(MailServer("mail.city.example", 25, False, "valvomo", "secret"))

    class Line(smtplib.SMTP):
        def login(self, user: str, password: str, *, initial_response_ok: bool = True) -> tuple[int, bytes]:
            pytest.fail("the password was sent")

    with pytest.raises(TransientError, match="offers no TLS"):
        abroad._log_in(Line(), plain=True)


def test_an_address_refused_for_good_does_not_keep_the_others_waiting() -> None:
    inbox = Inbox({"b@city.example": "550 no such person here: b@city.example"})
    with server(inbox) as address:
        assert sender(f"smtp://{address}").deliver(parcel(recipient("a@city.example", "b@city.example")))
    assert [to for to, _ in inbox.mails] == [["a@city.example"]]


def test_nobody_left_is_for_good_and_names_no_address() -> None:
    with (
        server(Inbox({"a@city.example": "550 no such person: a@city.example"})) as address,
        pytest.raises(UndeliverableError, match="every address of finance-kymp") as found,
    ):
        sender(f"smtp://{address}").deliver(parcel(recipient("a@city.example")))
    assert "@" not in str(found.value)


def test_an_address_refused_for_now_is_tried_again_and_nobody_gets_it_twice() -> None:
    inbox = Inbox({"b@city.example": "451 try later"})
    to_both = parcel(recipient("a@city.example", "b@city.example"))
    with server(inbox) as address:
        sending = sender(f"smtp://{address}")
        with pytest.raises(TransientError, match="refused 1 of the addresses"):
            sending.deliver(to_both)
        inbox.refused.clear()
        assert sending.deliver(to_both)
    assert [to for to, _ in inbox.mails] == [["a@city.example"], ["b@city.example"]]


def test_a_server_that_is_away_is_a_matter_of_patience() -> None:
    with server(Inbox()) as address:
        pass
    with pytest.raises(TransientError, match="cannot be used"):
        sender(f"smtp://{address}").deliver(parcel(recipient("a@city.example")))


@pytest.mark.parametrize("to", [None, recipient()], ids=["no entry", "nothing in it"])
def test_a_role_that_nothing_reaches_waits_for_an_address(to: Recipient | None) -> None:
    with pytest.raises(NobodyError, match="no address for finance-kymp"):
        sender("smtp://127.0.0.1:9").deliver(parcel(to))


@pytest.mark.parametrize(
    "to",
    [recipient(webhook="https://flows.example/x"), recipient(teams="https://flows.example/x")],
    ids=["webhook", "Teams"],
)
def test_a_role_that_is_reached_otherwise_needs_no_mail(to: Recipient) -> None:
    assert not sender("smtp://127.0.0.1:9").deliver(parcel(to))


@pytest.mark.parametrize("greets", [True, False], ids=["after its greeting", "before its greeting is whole"])
def test_a_server_that_answers_slowly_for_ever_is_left_in_time(greets: bool) -> None:
    with trickling(greets) as address:
        slow = SmtpMail(MailServer.parse(f"smtp://{address}"), SENDER, LINKS, patience_seconds=0.5)
        began = time.monotonic()
        with pytest.raises(ServerAwayError, match="cannot be used"):
            slow.deliver(parcel(recipient("a@city.example")))
        assert time.monotonic() - began < 10


def test_a_line_that_breaks_within_the_mail_means_that_it_comes_again() -> None:
    inbox = Inbox()
    with broken_within_data() as (address, seen), pytest.raises(ServerAwayError, match="cannot be used"):
        sender(f"smtp://{address}").deliver(parcel(recipient("a@city.example")))
    assert seen == ["DATA"]
    with server(inbox) as address:
        assert sender(f"smtp://{address}").deliver(parcel(recipient("a@city.example")))
    assert len(inbox.mails) == 1


def test_a_mail_that_is_refused_is_no_word_about_the_next() -> None:
    inbox = Inbox()
    inbox.content = "452 too many of these"
    with server(inbox) as address, pytest.raises(TransientError, match="452 to a mail") as found:
        sender(f"smtp://{address}").deliver(parcel(recipient("a@city.example")))
    assert not isinstance(found.value, ServerAwayError)


@pytest.mark.parametrize("farewell", [b"250 bye", b"421 busy", b"500 what?", None])
def test_a_mail_is_taken_whatever_the_server_says_in_the_end(farewell: bytes | None) -> None:
    with leaving(farewell) as (address, mails):
        assert sender(f"smtp://{address}").deliver(parcel(recipient("a@city.example")))
    assert len(mails) == 1


@contextmanager
def serving(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that treats its first connection as it is told; its `host:port`."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def first() -> None:
            line, _ = listening.accept()
            with line, suppress(OSError):
                answer(line)

        thread = threading.Thread(target=first)
        thread.start()
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}"
        finally:
            thread.join()


@contextmanager
def trickling(greets: bool) -> Iterator[str]:
    """A server that says a little at a time, and never all, until nobody listens."""

    def answer(line: socket.socket) -> None:
        if greets:
            line.sendall(b"220 hello\r\n")
            line.recv(1024)
        while True:
            line.sendall(b"2")
            time.sleep(0.1)

    with serving(answer) as address:
        yield address


@contextmanager
def broken_within_data() -> Iterator[tuple[str, list[str]]]:
    """A server that goes away while a mail is on its way to it."""
    seen: list[str] = []

    def answer(line: socket.socket) -> None:
        line.sendall(b"220 hello\r\n")
        with line.makefile("rb") as commands:
            for command in commands:
                if command.upper().startswith(b"DATA"):
                    line.sendall(b"354 go on\r\n")
                    commands.readline()
                    seen.append("DATA")
                    return
                line.sendall(b"250 ok\r\n")

    with serving(answer) as address:
        yield address, seen


@contextmanager
def leaving(farewell: bytes | None) -> Iterator[tuple[str, list[bytes]]]:
    """A server that takes a mail and ends in its own way: with this answer, or (None) with none."""
    mails: list[bytes] = []

    def answer(line: socket.socket) -> None:
        line.sendall(b"220 hello\r\n")
        with line.makefile("rb") as commands:
            for command in commands:
                if command.upper().startswith(b"QUIT"):
                    line.sendall(b"" if farewell is None else farewell + b"\r\n")
                    return
                if command.upper().startswith(b"DATA"):
                    line.sendall(b"354 go on\r\n")
                    mails.append(b"".join(iter(commands.readline, b".\r\n")))
                line.sendall(b"250 ok\r\n")

    with serving(answer) as address:
        yield address, mails


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example", MailServer("mail.example", 25, False, None, None)),
        ("smtp://mail.example:587", MailServer("mail.example", 587, False, None, None)),
        ("smtps://mail.example", MailServer("mail.example", 465, True, None, None)),
        ("smtps://u%40x:p%2Fw@mail.example:4650", MailServer("mail.example", 4650, True, "u@x", "p/w")),
    ],
)
def test_where_mail_goes(url: str, expected: MailServer) -> None:
    assert MailServer.parse(url) == expected


@pytest.mark.parametrize(
    "url",
    ["mail.example:25", "http://mail.example", "smtp://", "smtp://h:port", "smtp://u:hunter2@h/path", "smtp://h?x=1"],
)
def test_an_address_of_another_kind_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="VALVOMO_SMTP_URL") as found:
        MailServer.parse(url)
    assert "hunter2" not in str(found.value)


def test_without_a_server_mails_become_files_that_only_we_read(tmp_path: Path) -> None:
    folder = tmp_path / "mail"
    to = parcel(None)
    assert MailFiles(folder, SENDER, LINKS).deliver(to)
    assert MailFiles(folder, SENDER, LINKS).deliver(to)  # sent again after a crash: the same file
    [path] = folder.iterdir()
    message = message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert path.name == f"{to.message_id}.eml"
    assert message["to"] == "finance-kymp:;"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_written_is_a_matter_of_patience(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("in the way")
    with pytest.raises(TransientError, match="cannot write mails"):
        MailFiles(tmp_path / "mail", SENDER, LINKS).deliver(parcel(None))
