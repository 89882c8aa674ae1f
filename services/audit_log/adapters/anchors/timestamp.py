"""A time-stamping authority (RFC 3161): its signature over the checkpoint's hash and the time, once a day.

It shows that the checkpoint existed by then, not that there was no other one; so it is no anchor to have alone.
"""

from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.x509 import Certificate, load_pem_x509_certificates

from services.audit_log.adapters.anchors.posting import Post
from services.audit_log.ports import AnchorRefusedError
from services.shared.errors import ConfigurationError, TransientError
from services.shared.events.log import AnchorKind
from services.shared.tlog.checkpoint import Checkpoint
from services.shared.tlog.merkle import NodeReader
from services.shared.tlog.tiles import TileReader

try:
    import rfc3161_client
except ImportError:
    if TYPE_CHECKING:
        raise
    rfc3161_client = None

_WHO = "the time-stamping authority"


class TimestampAnchor:
    """See `Anchor`. The receipt is the authority's whole answer (DER), as `openssl ts -verify -in` reads it.

    Args:
        url: of the authority.
        roots: the certificates that its own must lead to.
        post: how it is asked.

    Raises:
        ConfigurationError: the library for it is not installed.
    """

    kind: AnchorKind = "timestamp"
    name = "timestamp"
    every = timedelta(days=1)

    def __init__(self, url: str, roots: Sequence[Certificate], post: Post) -> None:
        if rfc3161_client is None:
            raise ConfigurationError(
                "VALVOMO_TIMESTAMP_URL is set, but the library for it is missing: pip install 'valvomo[timestamp]', or "
                "take the setting away"
            )
        self._url, self._roots, self._post = url, list(roots), post

    def push(self, note: bytes, signed: Checkpoint, node: NodeReader, tile: TileReader) -> bytes:  # noqa: ARG002  # the note is all
        request = rfc3161_client.TimestampRequestBuilder(
            data=note, hash_algorithm=rfc3161_client.HashAlgorithm.SHA256
        ).build()
        answer = self._post(_WHO, self._url, request.as_bytes(), "application/timestamp-query")
        if answer.status != HTTPStatus.OK:
            raise TransientError(f"{_WHO} answered {answer.status}")
        self._verify(answer.body, note, request.nonce)
        return answer.body

    def _verify(self, body: bytes, note: bytes, nonce: int | None) -> None:
        try:
            response = rfc3161_client.decode_timestamp_response(body)
        except ValueError:
            raise TransientError(f"{_WHO} answered something that is no timestamp") from None
        verifier = rfc3161_client.VerifierBuilder(roots=list(self._roots), nonce=nonce).build()
        try:
            verifier.verify_message(response, note)
        except (rfc3161_client.VerificationError, ValueError) as error:
            raise AnchorRefusedError("refused", f"{_WHO} gave a timestamp that does not verify: {error}") from None


def read_roots(path: Path | None) -> Sequence[Certificate]:
    """The certificates in a PEM file.

    Raises:
        ConfigurationError: there is no such file, or no certificate in it.
    """
    if path is None:
        raise ConfigurationError(
            "VALVOMO_TIMESTAMP_URL is set, but not VALVOMO_TIMESTAMP_ROOTS: name the PEM file with the authority's "
            "root certificates, without which no timestamp can be believed"
        )
    try:
        return load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        raise ConfigurationError(
            f"VALVOMO_TIMESTAMP_ROOTS: {path} holds no certificates; expected a PEM file with the authority's roots"
        ) from None
