"""The wiring of what tells people: which channels the settings give, each in a loop of its own."""

from collections.abc import Mapping, Sequence

from services.cost_alerts.adapters.keys import acknowledgement_key
from services.cost_alerts.adapters.queries import LedgerQueries
from services.cost_alerts.adapters.tables import METADATA
from services.cost_alerts.delivery.alertmanager import OpenAlerts, poster
from services.cost_alerts.delivery.mail import MailFiles, SmtpMail
from services.cost_alerts.delivery.notifier import Channel, ChannelName, Notifier
from services.cost_alerts.delivery.posting import Poster
from services.cost_alerts.delivery.recipients import load_recipients
from services.cost_alerts.delivery.ringer import NAME, Ringer
from services.cost_alerts.delivery.teams import Teams
from services.cost_alerts.delivery.webhook import Webhook
from services.cost_alerts.domain.alerts.acknowledging import link_path
from services.cost_alerts.web.letters.telling import Links
from services.shared.clock import Clock
from services.shared.loops import Loop
from services.shared.settings import Settings
from services.shared.smtp import MailServer
from services.shared.store import Store
from services.shared.store.tables import common_tables


def telling_loops(settings: Settings, store: Store, clock: Clock) -> Sequence[Loop]:
    """One loop for each way to people, and one for the Alertmanager where one is set.

    Raises:
        ConfigurationError: the mail server's address or the recipients file cannot be used.
    """
    loops = [Loop(one.name, one.step, on_stop=one.close) for one in build_notifiers(settings, store, clock)]
    ringer = build_ringer(settings, store, clock)
    return loops if ringer is None else [*loops, Loop(NAME, ringer.step)]


def build_notifiers(settings: Settings, store: Store, clock: Clock) -> Sequence[Notifier]:
    """A notifier for every channel; mail goes to a server or, without one, to files under the data folder.

    Raises:
        ConfigurationError: the mail server's address or the recipients file cannot be used.
    """
    outbox, recipients = common_tables(METADATA).outbox, load_recipients(settings.recipients_file)
    channels = _channels(settings, links_of(settings, store), clock)
    return [Notifier(store, outbox, name, channel, recipients, clock) for name, channel in channels.items()]


def build_ringer(settings: Settings, store: Store, clock: Clock) -> Ringer | None:
    """What holds open alerts before an Alertmanager; None where none is set."""
    if settings.alertmanager_url is None:
        return None
    post = poster(settings.alertmanager_url, _poster("Alertmanager", settings))
    return Ringer(OpenAlerts(store, LedgerQueries(store).view, clock), post, links_of(settings, store), clock)


def links_of(settings: Settings, store: Store) -> Links:
    """Where links in messages lead; only this ledger's key makes links that acknowledge."""
    key = acknowledgement_key(store)
    return Links(link_of(settings), lambda alert_id, role: link_path(key, alert_id, role))


def link_of(settings: Settings) -> str:
    """Where people see the units: at the public address, or where this process listens."""
    return f"{(settings.public_url or f'http://{settings.host}:{settings.port}').rstrip('/')}/"


def _channels(settings: Settings, links: Links, clock: Clock) -> Mapping[ChannelName, Channel]:
    return {
        "mail": _mail(settings, links),
        "teams": Teams(_poster("the Teams Workflow", settings), links),
        "webhook": Webhook(_poster("the webhook's receiver", settings), clock, links),
    }


def _poster(who: str, settings: Settings) -> Poster:
    return Poster(who, timeout_seconds=settings.webhook_timeout_seconds)


def _mail(settings: Settings, links: Links) -> Channel:
    if settings.smtp_url is None:
        return MailFiles(settings.data_dir / "mail", settings.mail_from, links)
    return SmtpMail(MailServer.parse(settings.smtp_url.get_secret_value()), settings.mail_from, links)
