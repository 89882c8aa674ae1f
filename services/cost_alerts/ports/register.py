"""The register in the ledger, and walks over the readings after it has changed."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from sqlalchemy import Connection

from services.cost_alerts.domain.closing import Closings
from services.cost_alerts.domain.view import Book, Scope
from services.shared.events.register import RegisterVersion
from services.shared.store import Transaction


class StagedFact(NamedTuple):
    """One fact on its way: `kind` is its model's name, `body` its JSON, None when the fact is gone."""

    kind: str
    fact_id: str
    body: str | None


class RegisterBook(Protocol):
    """The register's facts on their way to becoming a version."""

    def stage(self, tx: Transaction, changes: Sequence[StagedFact]) -> None:
        """Keep changes until a marker comes; the last word on a fact counts."""
        ...

    def apply(self, tx: Transaction, marker: RegisterVersion, published_at: int) -> Book | None:
        """Put everything staged into force as that version, alone: nobody prices meanwhile. The register as it now is.

        None when the version is not above the one in force: what was staged is then dropped.
        """
        ...

    def close_month(self, tx: Transaction, month: int, cut_off: int, closed_by: str | None) -> Closings | None:
        """Close a month (year × 12 + month − 1), alone; what was recorded after the cut-off moves to an open month.

        The closings as they now are; None when the month was closed before: the first closing stands.
        """
        ...

    def mark(self, tx: Transaction, about: str, scopes: Sequence[Scope], recorded_from: int) -> None:
        """Have what is charged by the period on these days made again, as known from an instant on."""
        ...


class BudgetUse(Protocol):
    """What counts towards each budget."""

    def recount(self, tx: Transaction, book: Book) -> None:
        """Add up again for every budget of the newest version; budgets or the tree of units have changed."""
        ...


class Restatements(Protocol):
    """Walks over the readings after a change of the register, and what each version changed."""

    def has_work(self, connection: Connection) -> bool:
        """Whether a walk is unfinished, or the register newer than the last one."""
        ...

    def unfinished(self, tx: Transaction) -> "Walk | None": ...

    def begin(self, tx: Transaction, walk: "Walk") -> None: ...

    def save(self, tx: Transaction, walk: "Walk") -> None:
        """Keep where a walk stands."""
        ...

    def newest(self, tx: Transaction) -> int:
        """The version that the last walk began for."""
        ...

    def is_settled(self, connection: Connection, version: int) -> bool:
        """Whether what is charged by the period follows the register up to this version too."""
        ...

    def versions(self, connection: Connection, since: int, until: int) -> Sequence[int]:
        """The register versions after `since`, up to `until` inclusive, rising."""
        ...

    def last_day(self, connection: Connection) -> int:
        """The last day (ordinal) of anything that was ever charged, 0 when nothing was."""
        ...

    def changes(self, connection: Connection, versions: Sequence[int]) -> Sequence["Change"]:
        """What these versions changed, each from just before it was published to just after; unchanged ones left out.

        A function of the charges with their history: asked again, and after a rebuild, it is the same.
        """
        ...

    def keep(self, tx: Transaction, changes: Sequence["Change"]) -> None:
        """Keep what versions changed, in the place of what was kept of them before."""
        ...

    def note_announced(self, tx: Transaction, version: int) -> None:
        """This restatement was announced, now or by an earlier life of this ledger."""
        ...

    def is_announced(self, tx: Transaction, version: int) -> bool: ...


class Change(NamedTuple):
    """What a register version changed: (unit, day) → 10⁻⁹ euro before and after; `readings`: how many were repriced."""

    version: int
    author: str | None
    approver: str | None
    reason: str | None
    readings: int
    amounts: Mapping[tuple[str, int], tuple[int, int]]


class Walk(NamedTuple):
    """A walk from register version `since` (exclusive) to `version`, over readings numbered up to `last`."""

    version: int
    since: int
    done_to: int
    last: int
    readings: int
    finished: bool
