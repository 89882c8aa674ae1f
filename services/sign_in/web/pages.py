"""The pages of signing in, as HTML."""

from dataclasses import dataclass
from typing import Literal

from services.shared.sessions import Grant
from services.shared.web.rendering import render
from services.shared.web.words import LANGUAGES, Words
from services.sign_in.domain.accounts import Account
from services.sign_in.domain.sessions import Session

Problem = Literal["wrong", "later", "stale", "directory", "away"]


@dataclass(frozen=True, slots=True)
class SignInForm:
    """What the form of signing in holds. `wait`: seconds; `next_page`: where to go on to."""

    form_token: str
    next_page: str
    directory: bool
    problem: Problem | None = None
    wait: int = 0


def sign_in_page(words: Words, form: SignInForm) -> str:
    """The page with the form, and the way through the city's directory where there is one."""
    return render(
        "sign_in.html.jinja",
        words=words,
        languages=LANGUAGES,
        path="/sign-in",
        next=form.next_page,
        form_token=form.form_token,
        directory=form.directory,
        problem=form.problem,
        wait=form.wait,
    )


def account_page(words: Words, account: Account, here: Session, others: list[Session], said: str | None) -> str:
    """Who I am here: roles, sessions, and another password. `said`: what became of what was asked for."""
    return render(
        "account.html.jinja",
        words=words,
        languages=LANGUAGES,
        path="/account",
        person=account.person,
        must_change=here.how == "password" and account.one_time_until is not None,
        grants=sorted(account.grants_by(here.how), key=_by_role),
        sessions=others,
        this=here.digest,
        form_token=here.form_token,
        has_password=account.password is not None and here.how == "password",
        said=said,
    )


def _by_role(grant: Grant) -> tuple[str, str]:
    return grant.role, grant.unit or ""
