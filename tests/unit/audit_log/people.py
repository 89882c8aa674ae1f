"""People who have signed in, for tests of pages and of what is decided on them."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from fastapi.testclient import TestClient

from services.shared.access import Access, Grant
from services.shared.events import register
from services.shared.http import make_app
from services.shared.sessions import COOKIE, SignedIn
from services.shared.tokens import Role
from tests.contract.log_contract import Program
from tests.unit.audit_log.events import use_case

MANDATES = tuple(
    register.ReviewerMandate(
        reviewer=person, unit="kymp", use_cases=("benefits", "chat", "summaries"), trained_on=date(2026, 2, 1),
        valid_from=date(2026, 2, 1),
    )
    for person in ("p-reviewer", "p-second", "p-requester", "p-twin")
)  # fmt: skip

STRICT = register.Policy(
    id="review",
    version=4,
    approved_by="record 13/2026",
    valid_from=date(2026, 1, 1),
    rules=(
        register.ReviewRule(risk_class="prohibited", gate="never"),
        register.ReviewRule(
            risk_class="high_decision", gate="before_use", deadline_business_hours=8, max_bulk=0, min_dwell_seconds=5,
            one_click=False, training_required=True,
        ),
        register.ReviewRule(risk_class="high_support", gate="before_use", deadline_business_hours=24, max_bulk=3),
        register.ReviewRule(risk_class="limited", gate="after_use", deadline_business_hours=40, max_bulk=50),
        register.ReviewRule(risk_class="minimal", gate="none"),
    ),
)  # fmt: skip

STRICT_USE_CASES = (
    use_case(), use_case("chat", "limited"), use_case("summaries", "high_support"), use_case("drafts", "minimal"),
    use_case("scoring", "prohibited"),
)  # fmt: skip


class Sessions:
    """Whoever shows `<person>` as their cookie has signed in as that person."""

    def __init__(self) -> None:
        self._grants: dict[str, frozenset[Grant]] = {}

    def admit(self, person: str, *grants: Grant) -> None:
        self._grants[person] = frozenset(grants)

    def find(self, token: str) -> SignedIn | None:
        grants = self._grants.get(token)
        return None if grants is None else SignedIn(token, token, grants, f"form-{token}")


class Person:
    """A signed-in person with a browser, and with programs of theirs."""

    def __init__(self, program: Program, sessions: Sessions, name: str) -> None:
        access = Access((), program.clock, sessions=sessions)
        app = make_app([program.service], program.registry, access)
        self.name = name
        self.http = TestClient(app, "http://localhost", cookies={COOKIE: name}, follow_redirects=False)

    def get(self, path: str, **parameters: Any) -> Any:  # noqa: ANN401  # an answer
        return self.http.get(path, params=parameters)

    def send(self, path: str, fields: Mapping[str, Any], *, token: str | None = None) -> Any:  # noqa: ANN401  # an answer
        """A form, with the token that our pages give."""
        proof = f"form-{self.name}" if token is None else token
        return self.http.post(path, data={"lang": "en", "form_token": proof, **fields})

    def call(self, path: str, document: object, *, token: str | None = None) -> Any:  # noqa: ANN401  # an answer
        """A program in this person's name."""
        proof = f"form-{self.name}" if token is None else token
        return self.http.post(f"/api/v1/reviews/{path}", json=document, headers={"x-form-token": proof})


def sign_in(
    program: Program, sessions: Sessions, name: str, role: Role = "reviewer", unit: str | None = None
) -> Person:
    """A person with one role."""
    sessions.admit(name, Grant(role, unit))
    return Person(program, sessions, name)
