"""How long verifying an export takes, beside reading and parsing it at all.

    python -m tools.bench.verification --entries 1000000 [--fill FOLDER] [--jobs N]

The export is written directly, without a log: usage readings of 700 to 1,100 bytes, in bundles and tiles. Reading with
parsing is the yardstick: json.loads of header and event of every entry, in one process. Each part runs in a process of
its own, so that its peak of memory is its own.
"""

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from services.shared.tlog.checkpoint import sign_checkpoint
from services.shared.tlog.entry import Position, make_entry
from services.shared.tlog.merkle import complete_root, leaf_hash
from services.shared.tlog.note import Signer
from services.shared.tlog.tiles import ENTRIES, TILE_WIDTH, Frontier, Tile, bundle, level_tiles, levels, whole_entries
from services.verifier.folder import FileReader, read_notes
from services.verifier.look import name_of
from services.verifier.names import Names
from services.verifier.verify import verify

_START = datetime(2026, 1, 1, tzinfo=UTC)
_SIGNER = Signer("bench.example/audit", bytes(range(32)))
_PARTITIONS = 12
_CHECKPOINTS = 500
_MODELS = ("claude-sonnet-4-5", "gpt-5-mini", "gemini-2.5-pro", "mistral-large-2")


class Part(NamedTuple):
    """One measured part; `cpu` is what all its processes took, and says more where the machine is busy."""

    name: str
    seconds: float
    cpu: float
    peak_mb: float


def main() -> int:
    parser = argparse.ArgumentParser(description="Time the verification of an export.")
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--fill", type=Path, help="keep the export here, and use it again when it is there")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    folder = asked.fill or Path(tempfile.mkdtemp(prefix="valvomo-bench-"))
    try:
        _fill(folder, asked.entries)
        parts = list(_measured(folder, asked.entries, asked.jobs))
    finally:
        if asked.fill is None:
            shutil.rmtree(folder)
    _print(parts, asked.entries, as_json=asked.json)
    return 0


def _measured(folder: Path, entries: int, jobs: int) -> Iterator[Part]:
    yield _timed("reading and json.loads", _parse, folder, entries)
    yield _timed("reading and hashing", _hash, folder, entries)
    yield _timed("uniqueness", _unique, folder, entries)
    for several in sorted({1, jobs}):
        name = f"verification, {several} process{'es' if several > 1 else ''}"
        yield _timed(name, partial(_verify, several), folder, entries)


def _timed(name: str, work: Callable[[Path, int], None], folder: Path, entries: int) -> Part:
    """Run a part in a process of its own."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)

    def run() -> None:
        start = time.perf_counter()
        work(folder, entries)
        seconds = time.perf_counter() - start
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        cpu = sum(one.ru_utime + one.ru_stime for one in used)
        there.send((seconds, cpu, max(one.ru_maxrss for one in used) / 1024))

    process = context.Process(target=run)
    process.start()
    there.close()
    seconds, cpu, peak = here.recv()
    process.join()
    return Part(name, seconds, cpu, peak)


def _bundles(folder: Path, size: int) -> Iterator[list[bytes]]:
    read = FileReader(folder)
    for tile in level_tiles(ENTRIES, size):
        yield whole_entries(read(tile.path) or b"", tile.width)[0]


def _parse(folder: Path, size: int) -> None:
    for entries in _bundles(folder, size):
        for entry in entries:
            header, _, value = entry.partition(b"\n")
            json.loads(header)
            json.loads(value)


def _hash(folder: Path, size: int) -> None:
    for entries in _bundles(folder, size):
        leaves = [leaf_hash(entry) for entry in entries]
        if len(leaves) == TILE_WIDTH:
            complete_root(leaves)


def _unique(_: Path, size: int) -> None:
    with Names() as names:
        for first in range(0, size, TILE_WIDTH):
            some = range(first, min(first + TILE_WIDTH, size))
            names.add(b"".join(name_of("bench/source", f"reading-{index:012d}.0") for index in some), first)
        assert list(names.repeated()) == []


def _verify(jobs: int, folder: Path, _: int) -> None:
    def opened() -> FileReader:
        return FileReader(folder)

    report = verify(opened(), read_notes(folder), _SIGNER.key, now=_START, reopen=opened, jobs=jobs)
    if report.exit:
        raise SystemExit(f"the export did not verify: {report.damage[:3]}")


def _fill(folder: Path, size: int) -> None:
    """Write an export of `size` entries, when it is not there already."""
    done = folder / "checkpoint"
    if done.exists() and done.read_text().split("\n")[1] == str(size):
        return
    if folder.exists() and any(folder.iterdir()):
        raise SystemExit(f"{folder} holds another export; remove it or name another folder")
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    frontier, every = Frontier(), max(size // _CHECKPOINTS, 1)
    signed = 0
    for first in range(0, size, TILE_WIDTH):
        entries = [_entry(index) for index in range(first, min(first + TILE_WIDTH, size))]
        _write(folder, Tile(ENTRIES, first // TILE_WIDTH, len(entries)), bundle(entries))
        for tile, data in frontier.append(map(leaf_hash, entries)):
            _write(folder, tile, data)
        if frontier.size - signed >= every:
            signed = frontier.size
            note = sign_checkpoint(_SIGNER, signed, frontier.root())
            (folder / "checkpoints" / f"{signed:012d}").write_bytes(note)
    for level in levels(size):
        if row := frontier.edge(level):
            _write(folder, Tile(level, size >> (8 * (level + 1)), len(row)), b"".join(row))
    done.write_bytes(sign_checkpoint(_SIGNER, size, frontier.root()))


def _write(folder: Path, tile: Tile, data: bytes) -> None:
    path = folder / tile.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _entry(index: int) -> bytes:
    """A usage reading as the collector sends it; what varies in it comes from its index."""
    moment = _START + timedelta(milliseconds=1_500 * index)
    mark = sha256(index.to_bytes(8)).hexdigest()
    start = moment.replace(minute=0, second=0, microsecond=0)
    tags = {f"tag-{number}": mark[number * 8 : number * 8 + 24] for number in range(1 + index % 8)}
    data = {
        "reading_id": f"reading-{index:012d}",
        "revision": 0,
        "system": "claude-api",
        "sku": _MODELS[index % len(_MODELS)],
        "charge_period_start": _text(start),
        "charge_period_end": _text(start + timedelta(hours=1)),
        "consumed": {"input_tokens": str(index % 90_000), "cache_read_tokens": "1200", "output_tokens": "5121"},
        "dimensions": {"service_tier": "standard", "context_window": "0-200k", "region": "eu"},
        "consumer": {"person": f"p-{mark[:16]}", "account": f"wrk-{index % 500:03d}", "tags": tags},
        "environment": "production",
        "finality": "provisional",
        "purpose": "billing",
        "retracted": False,
        "reported_cost": {"amount": "1.2345", "currency": "USD"},
    }
    event = {
        "specversion": "1.0",
        "type": "valvomo.usage.recorded.v1",
        "source": "bench/source",
        "id": f"reading-{index:012d}.0",
        "subject": "claude-api",
        "time": _text(moment),
        "datacontenttype": "application/json",
        "data": data,
    }
    place = Position("8c1f0a52-bench", "valvomo.usage", index % _PARTITIONS, index // _PARTITIONS, moment)
    return make_entry(place, json.dumps(event, separators=(",", ":")).encode())


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _print(parts: list[Part], entries: int, *, as_json: bool) -> None:
    yardstick, cpu = parts[0].seconds, parts[0].cpu
    if as_json:
        rows = [part._asdict() | {"ratio": part.seconds / yardstick, "cpu_ratio": part.cpu / cpu} for part in parts]
        print(json.dumps({"entries": entries, "parts": rows}))
        return
    print(f"{entries:,} entries")
    for part in parts:
        rate, ratio = entries / part.seconds, part.seconds / yardstick
        print(
            f"{part.name:30} {part.seconds:8.1f} s {rate:10,.0f}/s {ratio:6.2f} x"
            f" {part.cpu:8.1f} s CPU {part.cpu / cpu:6.2f} x {part.peak_mb:7.0f} MB"
        )


if __name__ == "__main__":
    sys.exit(main())
