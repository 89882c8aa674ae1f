"""Mails: what they say in each language, how they reach a real SMTP server, and what of its refusals is for good."""

import email.policy
import smtplib
import stat
from email import message_from_bytes
from email.message import EmailMessage
from pathlib import Path

import pytest
from aiosmtpd.smtp import AuthResult, LoginPassword

from services.cost_alerts.adapters.notify_mail import MailFiles, MailServer, SmtpMail, mail
from services.cost_alerts.notify import NobodyError, UndeliverableError
from services.cost_alerts.recipients import Recipient
from services.cost_alerts.web.words import Language
from services.shared.errors import ConfigurationError, TransientError
from tests.unit.cost_alerts.alerts import LIBRARY, LINK, crossing, parcel, recipient
from tests.unit.cost_alerts.inbox import Inbox, server

SENDER = "Valvomo <valvomo@city.example>"


def sender(url: str) -> SmtpMail:
    return SmtpMail(MailServer.parse(url), SENDER, LINK, patience_seconds=2)


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
    found = mail(parcel(recipient("a@city.example", language=language)), SENDER, LINK)
    text = text_of(found)
    assert str(found["subject"]).replace("\u00a0", " ") == subject
    assert found["content-language"] == language
    for sentence in [*sentences, LINK, "kirjasto-2026", "finance-kymp"]:
        assert sentence in text
    assert f'lang="{language}"' in text_of(found, "html")


def test_html_is_escaped() -> None:
    html = text_of(mail(parcel(recipient("a@city.example")), SENDER, LINK), "html")
    assert "Library &lt;Services&gt;" in html
    assert "<Services>" not in html


def test_a_passed_budget_is_told_as_over() -> None:
    over = crossing(threshold="1.0", used="9000.01")
    text = text_of(mail(parcel(recipient("a@city.example"), over), SENDER, LINK))
    assert "Over: €0.01" in text
    assert "That is 100%" in text


def test_almost_all_is_not_told_as_all() -> None:
    almost = crossing(threshold="0.8", used="8999.99")
    assert "That is 99%" in text_of(mail(parcel(recipient("a@city.example"), almost), SENDER, LINK))


def test_a_unit_that_the_register_does_not_have_goes_by_its_id() -> None:
    assert "Unit: kirjasto\n" in text_of(mail(parcel(recipient("a@city.example"), unit=None), SENDER, LINK))


def test_a_cost_centre_that_is_unknown_is_left_out() -> None:
    without = LIBRARY.model_copy(update={"cost_centre": None})
    assert "Cost centre" not in text_of(mail(parcel(recipient("a@city.example"), unit=without), SENDER, LINK))


def test_the_same_alert_is_the_same_bytes_each_time() -> None:
    first, second = (mail(parcel(recipient("a@city.example")), SENDER, LINK).as_bytes() for _ in range(2))
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
    abroad = SmtpMail(MailServer("mail.city.example", 25, False, "valvomo", "secret"), SENDER, LINK)

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


@pytest.mark.parametrize("to", [None, recipient(webhook="https://flows.example/x")], ids=["no entry", "no address"])
def test_a_role_without_address_waits_for_one(to: Recipient | None) -> None:
    with pytest.raises(NobodyError, match="no address for finance-kymp"):
        sender("smtp://127.0.0.1:9").deliver(parcel(to))


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
    assert MailFiles(folder, SENDER, LINK).deliver(to)
    assert MailFiles(folder, SENDER, LINK).deliver(to)  # sent again after a crash: the same file
    [path] = folder.iterdir()
    message = message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert path.name == f"{to.message_id}.eml"
    assert message["to"] == "finance-kymp:;"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_written_is_a_matter_of_patience(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("in the way")
    with pytest.raises(TransientError, match="cannot write mails"):
        MailFiles(tmp_path / "mail", SENDER, LINK).deliver(parcel(None))
