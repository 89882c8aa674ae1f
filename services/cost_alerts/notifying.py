"""The wiring of the notifier: which channels the settings give it."""

from services.cost_alerts.adapters.notify_mail import MailFiles, MailServer, SmtpMail
from services.cost_alerts.adapters.notify_webhook import Webhook
from services.cost_alerts.adapters.tables import METADATA
from services.cost_alerts.notify import Channel, Notifier
from services.cost_alerts.recipients import load_recipients
from services.shared.clock import Clock
from services.shared.settings import Settings
from services.shared.store import Store
from services.shared.store.tables import common_tables


def build_notifier(settings: Settings, store: Store, clock: Clock) -> Notifier:
    """The notifier, with mail to a server or, without one, to files under the data folder.

    Raises:
        ConfigurationError: the mail server's address or the recipients file cannot be used.
    """
    link = link_of(settings)
    webhook = Webhook(clock, link, timeout_seconds=settings.webhook_timeout_seconds)
    return Notifier(
        store,
        common_tables(METADATA).outbox,
        {"mail": _mail(settings, link), "webhook": webhook},
        load_recipients(settings.recipients_file),
        clock,
    )


def link_of(settings: Settings) -> str:
    """Where people see the units: at the public address, or where this process listens."""
    return f"{(settings.public_url or f'http://{settings.host}:{settings.port}').rstrip('/')}/"


def _mail(settings: Settings, link: str) -> Channel:
    if settings.smtp_url is None:
        return MailFiles(settings.data_dir / "mail", settings.mail_from, link)
    return SmtpMail(MailServer.parse(settings.smtp_url.get_secret_value()), settings.mail_from, link)
