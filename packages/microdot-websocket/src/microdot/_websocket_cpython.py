"""What CPython does at the speed of memory: masks and UTF-8 at the speed of memory."""

from codecs import utf_8_decode
from functools import wraps as wraps
from typing import Any

# XOR of long integers is fastest up to here; then tables, one per byte of the mask, made when first used.
_LONG = 16384
_tables: "list[bytes | None]" = [None] * 256


def _table(key: int) -> bytes:
    table = _tables[key]
    if table is None:
        table = _tables[key] = bytes(value ^ key for value in range(256))
    return table


def unmask(data: bytes, mask: bytes, at: int) -> "bytes | bytearray":
    """Take the mask off (RFC 6455 5.3).

    Args:
        data: a piece of the payload.
        mask: the mask.
        at: where in the payload it begins.
    """
    n = len(data)
    at &= 3
    if at:
        mask = mask[at:] + mask[:at]
    if n < _LONG:
        key = int.from_bytes((mask * (n // 4 + 1))[:n], "little")
        return (int.from_bytes(data, "little") ^ key).to_bytes(n, "little")
    result = bytearray(n)
    for i in range(4):
        result[i::4] = data[i::4].translate(_table(mask[i]))
    return result


def is_ascii(data: "bytes | bytearray") -> bool:
    """Tell whether all bytes are ASCII."""
    return data.isascii()


def check_utf8(ws: Any, data: "bytes | bytearray", rest: "bytes | None") -> "bytes | None":
    """Check a piece of a text.

    Args:
        ws: the WebSocket that it came on.
        data: the piece.
        rest: what the call for the piece before returned.

    Returns:
        the incomplete character at the end, None when there is none.

    Raises:
        WebSocketError: it is not UTF-8 (RFC 3629).
    """
    if rest:
        data = rest + data
    try:
        used = utf_8_decode(data, "strict", False)[1]
    except ValueError:
        raise ws._fail(1007) from None
    return bytes(data[used:]) or None
