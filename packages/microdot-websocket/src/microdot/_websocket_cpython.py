"""What CPython does its own way: masks and UTF-8 at the speed of memory, short messages in one step, names of handlers."""

from codecs import utf_8_decode
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from .websocket import WebSocket

# What is longer is masked in blocks of so many bytes: integers of that length stay in the processor's cache.
_BLOCK = 16384


@lru_cache(maxsize=128)
def _ones(words: int) -> int:
    """Return the integer with which to multiply a mask to have it so many times."""
    return int.from_bytes(b"\1\0\0\0" * words, "little")


def mask_here(data: bytes, mask: bytes) -> bytes:
    """Return `data` XOR the four bytes of `mask`, again and again."""
    n = len(data)
    key = int.from_bytes(mask, "little")
    if n <= _BLOCK:
        words = n + 3 >> 2
        masked = (int.from_bytes(data, "little") ^ key * _ones(words)).to_bytes(words << 2, "little")
        return masked[:n] if n & 3 else masked
    key *= _ones(_BLOCK >> 2)
    whole = n - n % _BLOCK
    blocks = [
        (int.from_bytes(data[i : i + _BLOCK], "little") ^ key).to_bytes(_BLOCK, "little") for i in range(0, whole, _BLOCK)
    ]
    blocks.append(mask_here(data[whole:], mask))
    return b"".join(blocks)


_mask: "Callable[[bytes, bytes], bytes | bytearray]" = mask_here
try:
    from websockets.speedups import apply_mask
except ImportError:
    pass
else:
    _mask = apply_mask  # in C, where that package is installed, as for most ASGI servers: 0.3 microseconds for 4 KB, not 8


def unmask(data: bytes, mask: bytes, at: int) -> "bytes | bytearray":
    """Take the mask off (RFC 6455 5.3).

    Args:
        data: a piece of the payload.
        mask: the mask.
        at: where in the payload it begins.
    """
    at &= 3
    return _mask(data, mask[at:] + mask[:at] if at else mask)


def highest(data: "bytes | bytearray") -> int:
    """Tell whether all bytes are ASCII: a number below or above 127."""
    return 0 if data.isascii() else 255


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
        raise ws._end(1007) from None
    return bytes(data[used:]) or None


def quick(read: "Callable[[WebSocket], Any]") -> "Callable[[WebSocket], Any]":
    """Return what does what `WebSocket._read()` does: by itself with a whole message in one frame that is there, else by `read`."""

    def _read(ws: "WebSocket") -> Any:
        if ws._steps:
            return read(ws)
        link = ws._link
        data = link.buffer
        size = len(data)
        if size < 2:
            return None
        first = data[0]
        length = data[1] - 128
        start = 6
        if length == 126 and size > 4:
            length = data[2] << 8 | data[3]
            start = 8 if length > 125 else size
        end = start + length
        limit = ws.request.max_body_length if ws.max_message_length < 0 else ws.max_message_length
        if (
            first != 0x81
            and first != 0x82
            or not 0 < length != 127
            or end > size
            or 0 < limit < length
            or ws._full
            or ws._pieces
            or not ws._busy  # messages are for those who receive
        ):
            return read(ws)
        ws._quiet = 0
        link.buffer = data[end:] if end < size else b""
        payload: Any = _mask(data[start:end], data[start - 4 : start])
        if first == 0x81:
            try:
                return payload.decode()
            except ValueError:
                ws._steps = iter(())  # 7.1.7: the connection failed
                raise ws._end(1007) from None
        return payload

    return _read


def tune(module: "dict[str, Any]") -> None:
    """Put these in place of what boards have in `websocket.py`, and load the rest of it: here nothing is gained by waiting.

    Args:
        module: its names.
    """
    decorate = module["with_websocket"]

    @wraps(decorate)
    def with_websocket(f: "Callable[..., Any] | None" = None, **settings: Any) -> "Callable[..., Any]":
        return wraps(f)(decorate(f, **settings)) if f else lambda f: with_websocket(f, **settings)

    module["unmask"] = unmask
    module["max"] = highest
    module["with_websocket"] = with_websocket
    module["WebSocket"]._read = quick(module["WebSocket"]._read)
    from . import _websocket as rest

    if hasattr(rest, "websocket_wrapper"):  # not while that one is imported first, and has come here
        module["websocket_upgrade"] = rest.websocket_upgrade
        module["websocket_wrapper"] = rest.websocket_wrapper
        del module["__getattr__"]
