"""A log with anchors of the test's own: scripted ones, a witness over HTTP, the time stamps of `openssl ts`."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from sqlalchemy import select

from services.audit_log.adapters.anchors.pushing import Pusher
from services.audit_log.adapters.tables import receipt
from services.audit_log.ports import Anchor
from services.shared.events.log import AnchorKind
from services.shared.tlog.checkpoint import Checkpoint
from services.shared.tlog.merkle import NodeReader
from services.shared.tlog.policy import Witness, parse_policy
from services.shared.tlog.tiles import TileReader
from services.witness.cosigning import Witness as Cosigning
from services.witness.server import WitnessServer
from tests.contract.log_contract import Program
from tests.servers.process import HOST
from tests.unit.audit_log.events import window

ORIGIN = "log.example/audit"
Answer = Callable[[str, bytes], tuple[int, bytes]]
"""(path, body) → (status, body)."""


@contextmanager
def served(server: ThreadingHTTPServer) -> Iterator[str]:
    """The server's address, while the block lasts."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def witnessing(witness: Cosigning) -> Iterator[str]:
    with served(WitnessServer(HOST, 0, witness)) as address:
        yield address


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """A server that answers as a function says."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, body = answer(self.path, self.rfile.read(int(self.headers["content-length"])))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with served(ThreadingHTTPServer((HOST, 0), Handler)) as address:
        yield address


class Scripted:
    """An anchor that does as it is told."""

    kind: AnchorKind = "mail"

    def __init__(self, name: str, every: timedelta = timedelta(0)) -> None:
        self.name, self.every = name, every
        self.error: Exception | None = None
        self.sizes: list[int] = []

    def push(self, note: bytes, signed: Checkpoint, node: NodeReader, tile: TileReader) -> bytes:
        self.sizes.append(signed.size)
        if self.error is not None:
            raise self.error
        return f"receipt {signed.size}".encode()


class World(Program):
    """The log, worked by hand, with anchors of the test's own."""

    def anchored(self, *anchors: Anchor) -> Pusher:
        return Pusher(self.service.store, anchors, self.clock)

    def grow(self, number: int) -> int:
        """One event more, signed; the log's size."""
        self.publish(window(number))
        self.settle()
        self.sign()
        return self.size()

    def told(self, kind: str) -> list[Any]:
        return [event.data for event in self.outcomes() if event.type == f"valvomo.anchor.{kind}.v1"]

    def receipts(self) -> list[tuple[str, int, bytes]]:
        with self.service.store.reading() as connection:
            rows = connection.execute(select(receipt).order_by(receipt.c.anchor, receipt.c.size)).all()
        return [(row.anchor, row.size, row.receipt) for row in rows]


def policy_of(address: str, vkey: str, name: str = "w1") -> bytes:
    return f"witness {name} {vkey} {address}\nquorum {name}\n".encode()


def asked_at(address: str, vkey: str) -> Witness:
    return parse_policy(policy_of(address, vkey)).witnesses["w1"]


class Authority:
    """A time-stamping authority that `openssl ts` plays, with a certificate for a day."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "root.pem"
        (folder / "ca.cnf").write_text(_EXTENSIONS)
        (folder / "tsa.cnf").write_text(_CONFIGURATION.format(folder=folder))
        (folder / "serial").write_text("01\n")
        self._certify("root", "/CN=Test root", "-x509", "-extensions", "root", "-out", str(self.root))
        self._certify("tsa", "/CN=Test authority", "-out", str(folder / "tsa.csr"))
        self._run("x509", "-req", "-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key", "-set_serial", "2",
                  "-days", "1", "-extfile", "ca.cnf", "-extensions", "tsa", "-out", "tsa.pem")  # fmt: skip

    def stamp(self, query: bytes) -> bytes:
        (self.folder / "query.tsq").write_bytes(query)
        self._run("ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query.tsq", "-out", "reply.tsr")
        return (self.folder / "reply.tsr").read_bytes()

    def confirms(self, data: bytes, reply: bytes) -> bool:
        """What openssl itself says of a timestamp."""
        (self.folder / "data").write_bytes(data)
        (self.folder / "found.tsr").write_bytes(reply)
        done = subprocess.run(
            ["openssl", "ts", "-verify", "-data", "data", "-in", "found.tsr", "-CAfile", "root.pem"],
            cwd=self.folder, check=False, capture_output=True,
        )  # fmt: skip
        return done.returncode == 0

    def _certify(self, name: str, subject: str, *more: str) -> None:
        self._run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
                  "-keyout", f"{name}.key", "-subj", subject, "-config", "ca.cnf", *more)  # fmt: skip

    def _run(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)


_EXTENSIONS = """
[req]
distinguished_name = name
[name]
[root]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[tsa]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""
# Without a line `certs`: with it, openssl writes the set of certificates in an order that strict readers refuse.
_CONFIGURATION = """
[tsa]
default_tsa = tsa1
[tsa1]
dir = {folder}
serial = $dir/serial
signer_cert = $dir/tsa.pem
signer_key = $dir/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ordering = no
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""
