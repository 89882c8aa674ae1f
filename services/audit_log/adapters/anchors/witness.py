"""A C2SP witness, asked over HTTP: it cosigns the checkpoint if that continues what it saw last."""

from datetime import timedelta
from http import HTTPStatus

from services.audit_log.adapters.anchors.posting import Answer, Post
from services.audit_log.ports import AnchorRefusedError, RefusalReason
from services.shared.errors import TransientError
from services.shared.events.log import AnchorKind
from services.shared.tlog.checkpoint import Checkpoint
from services.shared.tlog.cosignature import cosigned_at, line_of
from services.shared.tlog.merkle import NodeReader, consistency_proof
from services.shared.tlog.note import NoteError, parse_note
from services.shared.tlog.policy import Witness
from services.shared.tlog.tiles import TileReader
from services.shared.tlog.witnessing import parse_size, write_request

_ATTEMPTS = 4
"""One to learn the size, one to be cosigned, and two for somebody who asks on our behalf at the same time."""
_REASONS: dict[int, tuple[RefusalReason, str]] = {
    HTTPStatus.FORBIDDEN: ("bad_signature", "does not trust the key that signed the checkpoint; give it our key"),
    HTTPStatus.NOT_FOUND: ("unknown_origin", "does not know this log; have it registered under VALVOMO_LOG_ORIGIN"),
    HTTPStatus.UNPROCESSABLE_ENTITY: ("inconsistent", "has seen another log of this name: one of the two was forged"),
}


class WitnessAnchor:
    """See `Anchor`. The receipt is the witness's cosignature lines.

    Args:
        witness: name, key and address, from the policy.
        every: how often it is asked at most.
        post: how.
    """

    kind: AnchorKind = "witness"

    def __init__(self, witness: Witness, every: timedelta, post: Post) -> None:
        self.name, self.every = f"witness-{witness.name}", every
        self._key, self._who, self._post = witness.key, f"the witness {witness.name}", post
        self._address = f"{(witness.url or '').rstrip('/')}/add-checkpoint"
        self._seen = 0

    def push(self, note: bytes, signed: Checkpoint, node: NodeReader, tile: TileReader) -> bytes:  # noqa: ARG002  # its proof is all that it asks for
        for _ in range(_ATTEMPTS):
            answer = self._ask(note, signed, node)
            if answer.status == HTTPStatus.OK:
                self._seen = signed.size
                return self._cosignatures(note, answer.body)
            if answer.status != HTTPStatus.CONFLICT:
                raise self._refusal(answer.status)
            self._learn(answer, signed)
        raise TransientError(f"{self._who} names another size each time: somebody else asks it, too")

    def _ask(self, note: bytes, signed: Checkpoint, node: NodeReader) -> Answer:
        seen = min(self._seen, signed.size)
        proof = consistency_proof(seen, signed.size, node)
        return self._post(self._who, self._address, write_request(seen, proof, note), "text/plain; charset=utf-8")

    def _learn(self, answer: Answer, signed: Checkpoint) -> None:
        """The size that the witness saw last."""
        told, asked = parse_size(answer.body), min(self._seen, signed.size)
        if told is not None and told > signed.size:
            raise AnchorRefusedError(
                "larger", f"{self._who} has seen {told} entries, the log has {signed.size}: it was cut off", told
            )
        if told is None or told == asked:  # as an older text of the protocol answers to another root of that size
            raise AnchorRefusedError("inconsistent", f"{self._who} has seen another log of this name", told)
        self._seen = told

    def _refusal(self, status: int) -> AnchorRefusedError:
        reason, what = _REASONS.get(status, ("refused", f"answered {status}, which it should not"))
        return AnchorRefusedError(reason, f"{self._who} {what}", self._seen or None)

    def _cosignatures(self, note: bytes, body: bytes) -> bytes:
        """The lines of the policy's key. Believed only when they verify: an answer is no evidence."""
        try:
            found = parse_note(note + body)
            at = cosigned_at(found, self._key)
        except NoteError as error:
            raise AnchorRefusedError("refused", f"{self._who} gave a cosignature that is none: {error}") from None
        if at is None:
            raise AnchorRefusedError("refused", f"{self._who} did not cosign with the key that the policy has for it")
        return b"".join(line_of(line) for line in found.signatures if self._key.made(line))
