"""A small picture of days for mails: a PNG, written here byte by byte.

Mail programs block SVG, and the most used one draws neither CSS heights nor table cells of exact size; a PNG that
comes along in the mail is shown by all of them, without asking a server. The background is transparent and the colours
keep a contrast above 3 to 1 on white and on black, so that it is legible in dark mode too.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from decimal import Decimal

WIDTH, HEIGHT = 560, 120
"""As it is shown, in CSS pixels; drawn twice as fine."""

_FINE = 2
_BAR, _LIMIT, _AXIS = 1, 2, 3
_PALETTE = bytes.fromhex("ffffff 3f7fd1 d0540f 7a7a7a")
"""Nothing (transparent), bars, limit, axis."""
_GAP_SHARE = 5
"""A bar's gap is a fifth of its step."""


def bars(values: Sequence[Decimal], limit: Decimal | None = None) -> bytes:
    """The PNG of one bar per value, the highest (or the limit) as high as the picture; values below nought as nought.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("a picture needs at least one value")
    width, height = WIDTH * _FINE, HEIGHT * _FINE
    rows = [bytearray(width) for _ in range(height)]
    top = max(*values, limit or Decimal(), Decimal()) or Decimal(1)
    for left, right, value in _columns(values, width):
        for row in rows[height - _high(value, top, height) :]:
            row[left:right] = bytes([_BAR]) * (right - left)
    rows[-1][:] = rows[-2][:] = bytes([_AXIS]) * width
    if limit is not None:
        _draw_limit(rows, height - _high(limit, top, height))
    return _png(width, height, rows)


def _columns(values: Sequence[Decimal], width: int) -> Iterator[tuple[int, int, Decimal]]:
    for index, value in enumerate(values):
        left, right = index * width // len(values), (index + 1) * width // len(values)
        yield left, right - (right - left) // _GAP_SHARE, value


def _high(value: Decimal, top: Decimal, height: int) -> int:
    """The height of a bar in pixels; what is not nought is seen."""
    if value <= 0:
        return 0
    return max(_FINE, int(value * (height - _FINE) / top))


def _draw_limit(rows: Sequence[bytearray], at: int) -> None:
    """A dashed line, so that it differs by more than its colour."""
    for row in rows[max(0, at - 1) : at + _FINE]:
        for left in range(0, len(row), 16):
            row[left : left + 10] = bytes([_LIMIT]) * len(row[left : left + 10])


def _png(width: int, height: int, rows: Sequence[bytearray]) -> bytes:
    """Source: W3C Portable Network Graphics, third edition, 5 and 11."""
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)  # eight bits, an index into the palette
    body = zlib.compress(b"".join(b"\x00" + bytes(row) for row in rows), 9)
    parts = [(b"IHDR", header), (b"PLTE", _PALETTE), (b"tRNS", b"\x00"), (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in parts)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
