"""The ledger in SQL: one `Work` per transaction. What repeats is remembered from one to the next; one thread only."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from hashlib import blake2b
from typing import Any

from sqlalchemy import Select, and_, bindparam, func, or_, select, text, update

from services.cost_alerts.adapters import tables
from services.cost_alerts.adapters.conflicts import keep_conflict
from services.cost_alerts.adapters.dictionary import Dictionary
from services.cost_alerts.adapters.register import BookShelf
from services.cost_alerts.adapters.tables import (
    ADJUSTMENT,
    BASIS,
    BUDGET_USE,
    CHARGE,
    CHARGE_UNSENT,
    PERIOD_DIRTY,
    PROFILE,
    READING,
    READING_HISTORY,
    ROLLUP,
    WORD,
)
from services.cost_alerts.domain.budgets.scope import Counting, Where
from services.cost_alerts.domain.use import Profile
from services.cost_alerts.domain.view import Book, Scope
from services.cost_alerts.ports.ledger import (
    Adjustment,
    Basis,
    ChargeRow,
    ChargeValues,
    ConflictRow,
    Mark,
    ReadingRow,
    RollupChange,
)
from services.shared.store import Transaction, chunks

MOST_PLACES = 200_000
_AT_ONCE = 400
_DIGEST_BYTES = 16
_BILLING = 0
_WORDS = ("unit", "system", "sku", "meter", "cost_centre", "project")
_BASIS_COLUMNS = ("digest", *Basis._fields)
_HISTORY_COLUMNS = tuple(name for name in READING_HISTORY.c.keys())  # noqa: SIM118  # a column collection, not a mapping


def digest_of(written: str) -> bytes:
    return blake2b(written.encode(), digest_size=_DIGEST_BYTES).digest()


class Memory:
    """What one thread remembers of the numbers of words, profiles and bases, and the register it read last."""

    def __init__(self, *, publishes: bool = False) -> None:
        """`publishes`: note whose charges changed, for who publishes them."""
        self.publishes = publishes
        self.words: Dictionary[str] = Dictionary(WORD, "text", str, ("text",), lambda _tx, word: (word,))
        self.profiles: Dictionary[Profile] = Dictionary(
            PROFILE, "digest", lambda one: digest_of(one.as_text()), ("digest", "system", "body"), self._profile_row
        )
        self.bases: Dictionary[Basis] = Dictionary(
            BASIS, "digest", lambda one: digest_of(repr(tuple(one))), _BASIS_COLUMNS, self._basis_row
        )
        self.basis_by_number: dict[int, Basis] = {}
        self.profile_by_number: dict[int, Profile] = {}
        self.generation = 0
        self._places_for: tuple[Book, int] | None = None
        self._places: dict[int, tuple[tuple[Any, ...], Sequence[str]]] = {}
        self._counting: tuple[Book, Counting] | None = None
        self._shelf = BookShelf()

    def begin(self, tx: Transaction) -> "SqlWork":
        """Start working in a transaction; see `OpenWork`."""
        book = self._shelf.hold(tx)
        dictionaries: list[Dictionary[Any]] = [self.words, self.profiles, self.bases]
        kept = [dictionary.begin(tx) for dictionary in dictionaries]
        if not all(kept):
            for dictionary in dictionaries:
                dictionary.forget()
            self.basis_by_number, self.profile_by_number = {}, {}
            self.generation += 1
        return SqlWork(tx, book, self)

    def places(self, book: Book) -> dict[int, tuple[tuple[Any, ...], Sequence[str]]]:
        """Where the sums of a basis go under this register; remembered until it or the numbering changes."""
        made_for = (book, self.generation)
        if self._places_for != made_for or len(self._places) > MOST_PLACES:
            self._places_for, self._places = made_for, {}
        return self._places

    def counting(self, book: Book) -> Counting:
        """Which budgets of the newest version a cost counts towards; remembered until the register changes."""
        if self._counting is None or self._counting[0] is not book:
            view = book.view(book.newest)
            self._counting = book, Counting(view.budgets, view)
        return self._counting[1]

    def _profile_row(self, tx: Transaction, profile: Profile) -> tuple[Any, ...]:
        body = profile.as_text()
        return (digest_of(body), self.words.number(tx, profile.system), body)

    def _basis_row(self, tx: Transaction, basis: Basis) -> tuple[Any, ...]:
        row = basis._asdict()
        row.update({name: self.words.number(tx, row[name]) for name in _WORDS})
        return (digest_of(repr(tuple(basis))), *row.values())


class SqlWork:
    """See `Work`."""

    def __init__(self, tx: Transaction, book: Book, memory: Memory) -> None:
        self.tx = tx
        self.book = book
        self.generation = memory.generation
        self._memory = memory

    def shard(self, partition: int) -> int:
        return partition if self.tx.dialect == "postgresql" else 0

    def word(self, text: str) -> int:
        return self._memory.words.number(self.tx, text)

    def profiles(self, profiles: Sequence[Profile]) -> Sequence[int]:
        numbers = self._memory.profiles.numbers(self.tx, profiles)
        return [numbers[profile] for profile in profiles]

    def profile(self, number: int) -> Profile:
        remembered = self._memory.profile_by_number
        if number not in remembered:
            query = select(PROFILE.c.body).where(PROFILE.c.id == number)
            remembered[number] = Profile.from_text(self.tx.connection.execute(query).scalar_one())
        return remembered[number]

    def basis(self, basis: Basis) -> int:
        number = self._memory.bases.number(self.tx, basis)
        self._memory.basis_by_number[number] = basis
        return number

    def enter_bases(self, bases: Sequence[Basis]) -> None:
        self._memory.bases.numbers(self.tx, bases)

    def basis_of(self, number: int) -> Basis:
        remembered = self._memory.basis_by_number
        if number not in remembered:
            remembered[number] = self._load_basis(number)
        return remembered[number]

    def _load_basis(self, number: int) -> Basis:
        row = self.tx.connection.execute(bases().where(BASIS.c.id == number)).one()
        return Basis(*row[1:])

    def find(self, digests: Sequence[bytes]) -> Mapping[bytes, int]:
        return tables.NAMES.lookup(self.tx, digests)

    def enter(self, digests: Sequence[bytes]) -> Sequence[int]:
        numbers = self._new_numbers(len(digests))
        tables.NAMES.add(self.tx, list(zip(digests, numbers, strict=True)))
        return numbers

    def _new_numbers(self, count: int) -> Sequence[int]:
        if self.tx.dialect == "sqlite":  # one writer: nobody takes the same numbers meanwhile
            last = self.last_number()
            return range(last + 1, last + 1 + count)
        query = text("SELECT nextval(pg_get_serial_sequence('reading', 'number')) FROM generate_series(1, :count)")
        return [int(number) for number in self.tx.connection.execute(query, {"count": count}).scalars()]

    def readings(self, numbers: Sequence[int]) -> Mapping[int, ReadingRow]:
        found = {}
        for some in chunks(sorted(numbers), _AT_ONCE):
            for row in self.tx.connection.execute(
                select(READING).where(READING.c.number.in_(some)).order_by(READING.c.number).with_for_update()
            ):
                found[row.number] = ReadingRow(*row)
        return found

    def earlier(self, number: int, revision: int) -> ReadingRow | None:
        here = and_(READING_HISTORY.c.number == number, READING_HISTORY.c.revision == revision)
        row = self.tx.connection.execute(select(READING_HISTORY).where(here)).mappings().first()
        if row is None:
            return None
        return ReadingRow(**{"source": 0, "reading_id": "", "pricing": 0, "register_version": 0, **row})

    def add_readings(self, rows: Sequence[ReadingRow]) -> None:
        self.tx.bulk_insert(READING, ReadingRow._fields, rows)

    def replace_readings(self, old: Sequence[ReadingRow], new: Sequence[ReadingRow]) -> None:
        self.add_late(old)
        self._update(READING, "number", ReadingRow._fields[3:], new)

    def repriced(self, rows: Sequence[ReadingRow]) -> None:
        self._update(READING, "number", ("pricing", "register_version"), rows)

    def add_late(self, rows: Sequence[ReadingRow]) -> None:
        history = [tuple(getattr(row, name) for name in _HISTORY_COLUMNS) for row in rows]
        self.tx.bulk_insert(READING_HISTORY, _HISTORY_COLUMNS, history)

    def add_conflict(self, conflict: ConflictRow) -> None:
        keep_conflict(self.tx, conflict, told=False)

    def add_charges(self, rows: Sequence[ChargeValues]) -> None:
        self.tx.bulk_insert(CHARGE, ChargeRow._fields, rows)
        self._note_unsent([row[0] for row in rows])

    def add_unsent(self, cycles: Iterable[tuple[str, int]]) -> None:
        if self._memory.publishes:
            self.tx.bulk_insert(CHARGE_UNSENT, ("agreement", "cycle"), sorted(set(cycles)))

    def _note_unsent(self, readings: Iterable[int]) -> None:
        if self._memory.publishes:
            self.tx.bulk_insert(CHARGE_UNSENT, ("reading",), [(number,) for number in dict.fromkeys(readings)])

    def charges_after(self, since: Mapping[int, int]) -> Sequence[ChargeRow]:
        found: list[ChargeRow] = []
        for some in chunks(list(since), _AT_ONCE):
            found += [
                ChargeRow(*row) for row in self.tx.connection.execute(select(CHARGE).where(CHARGE.c.reading.in_(some)))
            ]
        return [row for row in found if row.superseded_at is None or row.superseded_at > since[row.reading]]

    def close_charges(self, rows: Sequence[ChargeRow]) -> None:
        if rows:
            columns = CHARGE.c
            here = (
                columns.reading == bindparam("of"),
                columns.version == bindparam("at"),
                columns.basis == bindparam("by"),
            )
            change = update(CHARGE).where(*here).values(superseded_at=bindparam("until"))
            keys = [{"of": row.reading, "at": row.version, "by": row.basis, "until": row.superseded_at} for row in rows]
            self.tx.connection.execute(change, keys)
            self._note_unsent(row.reading for row in rows)

    def add_sums(self, changes: Sequence[RollupChange]) -> None:
        rows: list[tuple[Any, ...]] = []
        budgets: list[tuple[str, int, int]] = []
        for shard, number, sums in changes:
            key, counted = self._place(number)
            rows.append((*key, shard, *sums))
            budgets += ((budget, shard, sums.eur_nano) for budget in counted)
        self.tx.bulk_add(ROLLUP, tables.ROLLUP_KEY, tables.SUMS, rows)
        self.tx.bulk_add(BUDGET_USE, ("budget", "shard"), ("eur_nano",), budgets)

    def add_adjustments(self, adjustments: Sequence[Adjustment]) -> None:
        rows = [(one.booked_in, *self._place(one.basis)[0], one.shard, *one.sums) for one in adjustments]
        self.tx.bulk_add(ADJUSTMENT, ("booked_in", *tables.ROLLUP_KEY), tables.SUMS, rows)

    def add_marks(self, marks: Sequence[Mark]) -> None:
        self.tx.bulk_insert(PERIOD_DIRTY, Mark._fields, marks)

    def _place(self, number: int) -> tuple[tuple[Any, ...], Sequence[str]]:
        """Of a basis: its key among the rollups, and the budgets of the newest register that it counts towards."""
        places = self._memory.places(self.book)
        found = places.get(number)
        if found is None:
            basis = self.basis_of(number)
            where = Where(basis.unit, basis.system, basis.project)
            counted = self._memory.counting(self.book).counted(where, date.fromordinal(basis.day))
            key = tuple(
                self.word(getattr(basis, name)) if name in _WORDS else getattr(basis, name)
                for name in (*tables.PLACE, *tables.BOOKS)
            )
            found = places[number] = key, counted
        return found

    def restatable(
        self, above: int, up_to: int, limit: int, scopes: Sequence[Scope], version: int
    ) -> Sequence[ReadingRow]:
        query = (
            select(READING)
            .join(PROFILE, PROFILE.c.id == READING.c.profile)
            .where(
                READING.c.number > above,
                READING.c.number <= up_to,
                READING.c.register_version < version,
                READING.c.purpose == _BILLING,
                READING.c.retracted == 0,
                or_(*(self._within(scope) for scope in scopes)),
            )
            .order_by(READING.c.number)
            .limit(limit)
            .with_for_update(of=READING)
        )
        return [ReadingRow(*row) for row in self.tx.connection.execute(query)]

    def _within(self, scope: Scope) -> Any:  # noqa: ANN401  # an SQL condition
        days = READING.c.day.between(scope.first.toordinal(), scope.last.toordinal())
        return days if scope.system is None else and_(days, PROFILE.c.system == self.word(scope.system))

    def last_number(self) -> int:
        return int(self.tx.connection.execute(select(func.max(READING.c.number))).scalar() or 0)

    def _update(self, table: Any, key: str, columns: Sequence[str], rows: Sequence[ReadingRow]) -> None:  # noqa: ANN401
        if not rows:
            return
        change = (
            update(table)
            .where(table.c[key] == bindparam("key"))
            .values({name: bindparam(f"new_{name}") for name in columns})
        )
        self.tx.connection.execute(
            change,
            [{"key": getattr(row, key), **{f"new_{name}": getattr(row, name) for name in columns}} for row in rows],
        )


def bases() -> Select[Any]:
    """Number and basis, words spelled out, of every basis."""
    words = [WORD.alias(name) for name in _WORDS]
    spelled = {word.name: word.c.text for word in words}
    columns = [spelled.get(name, BASIS.c.get(name)).label(name) for name in Basis._fields]  # type: ignore[union-attr]
    joined = BASIS
    for word in words:
        joined = joined.join(word, word.c.id == BASIS.c[word.name])  # type: ignore[assignment]
    return select(BASIS.c.id, *columns).select_from(joined)
