"""The log's routes: the C2SP files for auditors and witnesses, and what scripts ask about entries, outputs, findings.

A green answer of this server is no evidence: it is the server's own word. Evidence is an export, or these files,
verified on another machine with a key that came another way.
"""

from fastapi import APIRouter

from services.audit_log.api.entries import add_entries
from services.audit_log.api.files import add_files
from services.audit_log.api.reviews import add_reviews
from services.shared.store import Store


def make_router(store: Store) -> APIRouter:
    """The routes over the log's database."""
    router = APIRouter()
    add_files(router, store)
    add_entries(router, store)
    add_reviews(router, store)
    return router
