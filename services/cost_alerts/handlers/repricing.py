"""Readings whose charges are older than the register: brought up to its newest version, with the history in between."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from services.cost_alerts.handlers.charging import Charger, Revision, counted, quantities_of
from services.cost_alerts.handlers.tally import Tally
from services.cost_alerts.ports.ledger import ChargeRow, ReadingRow, Work
from services.shared.store.tables import instant

_NEVER = 2**62
"""Later than any instant: charges that were superseded at all are not asked for."""


def reprice(
    work: Work, charger: Charger, rows: Sequence[ReadingRow], tally: Tally, shard: Callable[[int], int]
) -> Mapping[int, int]:
    """Supersede the charges of these paid readings whose price or unit changed since; count it in `tally`.

    `shard`: reading → the part of the rollups that takes it. Answers reading → the number of its last version, of
    those that changed; their rows are the caller's to keep.
    """
    present: dict[int, list[ChargeRow]] = defaultdict(list)
    for charge in work.charges_after({row.number: _NEVER for row in rows}):
        present[charge.reading].append(charge)
    since = [present[row.number][0].recorded_at for row in rows]
    made = charger.next(work, [(_revision(work, row), at) for row, at in zip(rows, since, strict=True)])
    changed = [(row, charged) for row, charged in zip(rows, made, strict=True) if charged.rows]
    before = [charge for row, _ in changed for charge in present[row.number]]
    closed = [
        charge._replace(superseded_at=charged.since) for row, charged in changed for charge in present[row.number]
    ]
    came = [ChargeRow(*values) for _, charged in changed for values in charged.rows]
    work.close_charges(closed)
    work.add_charges(came)
    for charge in before:
        tally.count(shard(charge.reading), counted(charge), -1)
    for charge in (*closed, *came):
        tally.count(shard(charge.reading), counted(charge))
    for row, charged in changed:
        tally.touch("usage", work.profile(row.profile).system, row.day, charged.since)
    return {row.number: charged.version for row, charged in changed}


def _revision(work: Work, row: ReadingRow) -> Revision:
    return Revision(row, work.profile(row.profile), instant(row.starts_at), quantities_of(row))
