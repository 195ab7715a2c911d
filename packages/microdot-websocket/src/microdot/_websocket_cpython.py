"""Unmasking and UTF-8 at the speed of memory, for CPython; boards have portable loops in `websocket.py`."""

from codecs import utf_8_decode

# XOR of long integers is fastest up to here; then tables, one per byte of the mask, made when first used.
_LONG = 16384
_tables: "list[bytes | None]" = [None] * 256


def _table(key: int) -> bytes:
    table = _tables[key]
    if table is None:
        table = _tables[key] = bytes(value ^ key for value in range(256))
    return table


def unmask(data: bytes, mask: bytes) -> "bytes | bytearray":
    """Take the mask off (RFC 6455 5.3)."""
    n = len(data)
    if n < _LONG:
        key = int.from_bytes((mask * (n // 4 + 1))[:n], "little")
        return (int.from_bytes(data, "little") ^ key).to_bytes(n, "little")
    result = bytearray(n)
    for i in range(4):
        result[i::4] = data[i::4].translate(_table(mask[i]))
    return result


def check_utf8(data: "bytes | bytearray", rest: bytes) -> bytes:
    """Check a piece of a text.

    Args:
        data: the piece.
        rest: what the call for the piece before returned.

    Returns:
        the incomplete character at the end.

    Raises:
        ValueError: it is not UTF-8 (RFC 3629).
    """
    if rest:
        data = rest + data
    elif data.isascii():
        return rest
    used = utf_8_decode(data, "strict", False)[1]
    return bytes(data[used:])
