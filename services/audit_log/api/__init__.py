"""The log's routes: the C2SP files for auditors and witnesses, and what scripts ask about entries, outputs, findings.

A green answer of this server is no evidence: it is the server's own word. Evidence is an export, or these files,
verified on another machine with a key that came another way.
"""

from collections.abc import Callable

from fastapi import APIRouter
from sqlalchemy import Connection

from services.audit_log.adapters.reads import Reads
from services.audit_log.adapters.reviews.content_key import ContentKey
from services.audit_log.adapters.reviews.desk import Desk
from services.audit_log.api.deciding import add_deciding
from services.audit_log.api.entries import add_entries
from services.audit_log.api.files import add_files
from services.audit_log.api.findings import add_findings
from services.audit_log.api.governance import add_governance
from services.audit_log.api.incidents import add_incidents
from services.audit_log.api.pages import add_pages
from services.audit_log.api.queue import add_queue
from services.audit_log.api.reviews import add_reviews
from services.audit_log.api.timeline import add_timeline
from services.shared.clock import Clock
from services.shared.store import Store


def make_router(
    store: Store, reads: Reads, clock: Clock, may_decide: Callable[[Connection], bool], key: ContentKey
) -> APIRouter:
    """The routes over the log's database; `reads` is told who looked at what.

    `may_decide`: whether all that the bus held at the first start was read; before that nothing is decided. `key`: for
    texts that reviewers edit.

    The C2SP files are not told: they are public evidence, fetched by witnesses and caches, and name nobody who asks.
    """
    router = APIRouter()
    add_files(router, store)
    add_entries(router, store, reads)
    add_reviews(router, store, reads)
    desk = Desk(store, clock, may_decide, key)
    add_queue(router, store, reads, clock)
    add_timeline(router, store, reads, clock, desk)
    add_deciding(router, desk)
    add_findings(router, store, reads, clock, may_decide)
    add_governance(router, store, reads, clock)
    add_incidents(router, store, reads, clock)
    add_pages(router, store, reads, clock)
    return router
