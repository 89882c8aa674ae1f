"""Takes the newest checkpoint to each anchor when it is due, and keeps what came of it.

One anchor that is away, slow or broken holds up neither the signer nor, beyond its patience, another anchor.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from services.audit_log.adapters.anchors.standing import Receipt, first_signed_at, read_standing, save_receipt, save_try
from services.audit_log.adapters.checkpoints import newest_checkpoint
from services.audit_log.adapters.entries import read_frontier, tile_reader
from services.audit_log.adapters.reviews.cases import SqlCaseFiles
from services.audit_log.domain.anchoring import Standing, is_due, is_overdue
from services.audit_log.domain.telling import about_log
from services.audit_log.handlers import message_of, say_once
from services.audit_log.ports import Anchor, AnchorRefusedError
from services.shared.clock import Clock
from services.shared.errors import PlatformError
from services.shared.events.log import Anchoring, AnchorRecorded, AnchorRefusal, AnchorRefused
from services.shared.logs import frames, logger
from services.shared.store import Store
from services.shared.tlog.checkpoint import Checkpoint, parse_checkpoint
from services.shared.tlog.note import parse_note
from services.shared.tlog.tiles import TileReader, node_reader

PAUSE_SECONDS = 5.0
_OTHERS_SECONDS = 1.0
_NOTHING_SECONDS = 3_600.0
_MAX_TOLD = 15_000
"""Bytes of a receipt that an event carries; what is longer stays in the database and in exports."""


class Report(NamedTuple):
    """How an anchor is doing, for who asks. `overdue`: it has nothing new for too long."""

    name: str
    kind: str
    standing: Standing
    overdue: bool


class Pusher:
    """For a `Loop`. One process at a time pushes.

    Args:
        store: the log's database.
        anchors: where checkpoints go.
        clock: tells when.
    """

    def __init__(self, store: Store, anchors: Sequence[Anchor], clock: Clock) -> None:
        self._store, self._anchors, self._clock = store, anchors, clock
        self._tiles = _tiles(store)
        self.refusals: Sequence[str] = ()
        """Which anchors refused the log at the newest step, a sentence each."""
        self._log = logger("anchors")

    def step(self) -> float:
        """Take the newest checkpoint where it is due; how long to pause, in seconds."""
        if not self._anchors:
            return _NOTHING_SECONDS
        mine = self.push()
        self.refusals = self._refusals()
        return PAUSE_SECONDS if mine else _OTHERS_SECONDS

    def push(self, *, at_once: bool = False) -> bool:
        """Take the newest checkpoint where it is due, or (`at_once`) wherever it is not yet.

        False: another process is at it, and nothing was done.
        """
        with self._store.exclusive("anchors") as mine:
            if mine:
                self._push_all(at_once=at_once)
            return mine

    def reports(self) -> Sequence[Report]:
        """How each anchor is doing."""
        now = self._clock.now()
        with self._store.reading() as connection:
            since = first_signed_at(connection)
            standings = [(anchor, read_standing(connection, anchor.name)) for anchor in self._anchors]
        return [
            Report(anchor.name, anchor.kind, standing, since is not None and is_overdue(standing, since, now))
            for anchor, standing in standings
        ]

    def _refusals(self) -> Sequence[str]:
        return [
            f"anchor {report.name} refuses the log: {report.standing.problem}; see docs/anchors.md"
            for report in self.reports()
            if report.standing.refusal
        ]

    def _push_all(self, *, at_once: bool) -> None:
        with self._store.reading() as connection:
            newest = newest_checkpoint(connection)
            standings = {anchor.name: read_standing(connection, anchor.name) for anchor in self._anchors}
        if newest is None:
            return
        signed = parse_checkpoint(parse_note(newest[0]).text)
        for anchor in self._due(standings, signed.size, at_once=at_once):
            self._push(anchor, newest[0], signed, standings[anchor.name].failures)

    def _due(self, standings: Mapping[str, Standing], size: int, *, at_once: bool) -> Sequence[Anchor]:
        now = self._clock.now()
        if at_once:
            return [anchor for anchor in self._anchors if standings[anchor.name].size != size]
        return [anchor for anchor in self._anchors if is_due(standings[anchor.name], anchor.every, size, now)]

    def _push(self, anchor: Anchor, note: bytes, signed: Checkpoint, failures: int) -> None:
        try:
            receipt = anchor.push(note, signed, node_reader(self._tiles), self._tiles)
        except AnchorRefusedError as error:
            self._log.error("refused", anchor=anchor.name, size=signed.size, reason=str(error))  # foreseen
            self._keep_refusal(anchor, signed, failures, error)
        except PlatformError as error:
            self._log.warning("not anchored", anchor=anchor.name, size=signed.size, reason=str(error))
            self._keep_failure(anchor, signed, failures, str(error))
        except Exception as error:  # noqa: BLE001  # one broken anchor must not stop the others
            what = f"an unforeseen {type(error).__name__}; see the log"
            self._log.error("not anchored", anchor=anchor.name, error=type(error).__name__, frames=frames(error))
            self._keep_failure(anchor, signed, failures, what)
        else:
            self._keep_receipt(anchor, signed, receipt)

    def _keep_receipt(self, anchor: Anchor, signed: Checkpoint, receipt: bytes) -> None:
        now = self._clock.now()
        told = base64.b64encode(receipt).decode() if 0 < len(receipt) <= _MAX_TOLD else None
        data = Anchoring(
            anchor=anchor.name,
            kind=anchor.kind,
            size=signed.size,
            root=signed.root.hex(),
            anchored_at=now,
            receipt=told,
        )
        event = about_log(AnchorRecorded, data, now, anchor.name, signed.size, signed.root.hex())
        with self._store.transaction() as tx:
            save_receipt(tx, Receipt(anchor.name, anchor.kind, signed.size, receipt, now))
            tx.send([message_of(event)])

    def _keep_refusal(self, anchor: Anchor, signed: Checkpoint, failures: int, error: AnchorRefusedError) -> None:
        now = self._clock.now()
        data = AnchorRefusal(
            anchor=anchor.name, kind=anchor.kind, size=signed.size, root=signed.root.hex(), refused_at=now,
            known_size=error.known_size, reason=error.reason,
        )  # fmt: skip
        event = about_log(AnchorRefused, data, now, anchor.name, signed.size, signed.root.hex(), error.reason)
        tried = Standing(tried_at=now, failures=failures + 1, refusal=error.reason, problem=str(error))
        with self._store.transaction() as tx:
            save_try(tx, anchor.name, signed.size, tried)
            say_once(SqlCaseFiles(), tx, [event], now)

    def _keep_failure(self, anchor: Anchor, signed: Checkpoint, failures: int, problem: str) -> None:
        tried = Standing(tried_at=self._clock.now(), failures=failures + 1, problem=problem)
        with self._store.transaction() as tx:
            save_try(tx, anchor.name, signed.size, tried)


def _tiles(store: Store) -> TileReader:
    """The committed tree's tiles. Read one by one, so that no transaction waits for somebody's network."""

    def read(level: int, number: int) -> Sequence[bytes]:
        with store.reading() as connection:
            return tile_reader(connection, read_frontier(connection))(level, number)

    return read
