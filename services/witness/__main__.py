"""The witness's command line, which needs nothing but the standard library: `valvomo witness`, or the file alone."""

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from services.shared.tlog.note import NoteError, VerifierKey, parse_vkey
from services.witness.cosigning import Witness
from services.witness.errors import WitnessError
from services.witness.identity import DATABASE, create, load
from services.witness.memory import Memory, Refusal
from services.witness.server import WitnessServer

PORT = 8604
_ABOUT = "Cosign the checkpoints of logs, each only when it continues the one that was cosigned last."
_CODES = "Exit codes: 0 done, 1 refused requests are kept (witness refused), 2 could not be done."
_EXAMPLE = "Example: valvomo witness --data /srv/witness --origin-key 'city.example/audit+7370cdd4+AQOh...'"


def main(arguments: Sequence[str] | None = None, program: str = "valvomo witness") -> int:
    """Do what the arguments ask; the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    commands = {"init": _init, "key": _key, "refused": _refused}
    try:
        if words and words[0] in commands:
            return commands[words[0]](words[1:], f"{program} {words[0]}")
        return _serve(words, program)
    except (WitnessError, NoteError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 2


def _init(arguments: Sequence[str], program: str) -> int:
    """Make a witness."""
    parser = _parser(program, "Make a witness: its key and its database. Print its verifier key.")
    parser.add_argument("--name", required=True, help="its name, like an address: witness.archive.example/w1")
    asked = parser.parse_args(arguments)
    print(create(asked.data, asked.name))
    return 0


def _key(arguments: Sequence[str], program: str) -> int:
    """Print a witness's verifier key."""
    asked = _parser(program, "Print the witness's verifier key, for the log's policy.").parse_args(arguments)
    print(load(asked.data)[0].key)
    return 0


def _refused(arguments: Sequence[str], program: str) -> int:
    """Show what was refused."""
    parser = _parser(program, "Show checkpoints that a log signed and that do not continue what it had shown before.")
    parser.add_argument("--json", action="store_true", help="print all of them, with both checkpoints, as JSON")
    asked = parser.parse_args(arguments)
    memory = Memory(asked.data / DATABASE)
    memory.key()
    found = memory.refused()
    if asked.json:
        print(json.dumps([_document(refusal) for refusal in found], indent=1))
    else:
        for refusal in found:
            print(f"{_moment(refusal.refused_at)} {refusal.origin}: {refusal.reason}")
    return 1 if found else 0


def _serve(arguments: Sequence[str], program: str) -> int:
    """Answer until asked to stop."""
    parser = _parser(program, f"{_ABOUT} See also: {program} init, key, refused.")
    parser.add_argument(
        "--origin-key", required=True, action="extend", nargs="+", metavar="VKEY", help="verifier keys of the logs"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", default=PORT, type=int, help="port to listen on (default: %(default)s)")
    asked = parser.parse_args(arguments)
    cosigner, memory = load(asked.data)
    witness = Witness(memory, cosigner, _keys(asked.origin_key), lambda: int(time.time()))
    _listen(asked.host, asked.port, witness, program)
    return 0


def _listen(host: str, port: int, witness: Witness, program: str) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server = WitnessServer(host, port, witness)
    except OSError as error:
        raise WitnessError(f"cannot listen on {host} port {port} ({error.strerror}); choose others") from None
    with server:
        print(f"{program}: listens on {server.base}; stop it with Ctrl-C", file=sys.stderr, flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return  # what was answered is on the disk


def _parser(program: str, about: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program, description=about, epilog=f"{_CODES} {_EXAMPLE}")
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="the witness's own folder")
    return parser


def _keys(texts: Sequence[str]) -> list[VerifierKey]:
    try:
        return [parse_vkey(text) for text in texts]
    except NoteError as error:
        raise WitnessError(f"an --origin-key cannot be used: {error}") from None


def _document(refusal: Refusal) -> dict[str, object]:
    return {
        "origin": refusal.origin,
        "refused_at": _moment(refusal.refused_at),
        "reason": refusal.reason,
        "seen_size": refusal.seen_size,
        "seen_checkpoint": refusal.seen_note.decode(),
        "checkpoint": refusal.note.decode(),
    }


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


if __name__ == "__main__":
    sys.exit(main())
