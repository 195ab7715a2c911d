"""What CPython does its own way for microdot.multipart: larger blocks and forms, all kinds of paths, `getlist()` of forms.

A board never gets this file, and `multipart.py`, which imports it at its end, works without it.
"""

import os
import sys
from collections.abc import Callable
from functools import wraps
from tempfile import gettempdir
from typing import Any

from . import multipart

multipart.FormDataIter.buffer_size = 65536  # small blocks would cost most of the time
multipart.FormDataIter.max_form = 65536
multipart.FileUpload.max_memory_size = 65536  # a file on a disk costs more than the rest of a request
multipart.FileUpload.folder = gettempdir() + os.sep

_save = multipart.FileUpload.save
_with_form_data = multipart.with_form_data


async def _read(self: multipart.FileUpload, n: int = -1) -> bytes:
    """Read as a board does; there is room for pieces that are joined once."""
    if self._file:
        return self._file.read(n)  # type: ignore[no-any-return]
    pieces: list[bytes] = []
    missing = n if n >= 0 else sys.maxsize
    while missing > 0:
        piece = self._rest.pop(0) if self._rest else self._read and await self._read(n)
        if not piece:
            self._read = None
            break
        missing -= len(piece)
        if missing < 0:
            self._rest.insert(0, piece[missing:])
            piece = piece[:missing]
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def _save_anywhere(self: multipart.FileUpload, path_or_file: Any) -> str | None:
    """Save to a path of any kind, also where paths have other separators and rename() replaces no file (Windows)."""
    if hasattr(path_or_file, "write"):
        return await _save(self, path_or_file)
    path: str = os.fspath(path_or_file)
    if os.sep == "/":
        return await _save(self, path)
    path = path.replace(os.sep, "/")
    folder = path[: path.rfind("/") + 1]
    name = await _save(self, folder)
    if path == folder or name is None:
        return name
    try:
        os.replace(name, path)
    except OSError:
        os.remove(name)
        raise
    return path


multipart.FileUpload.read = _read  # type: ignore[method-assign]
multipart.FileUpload.save = _save_anywhere  # type: ignore[method-assign]


@wraps(_with_form_data)
def with_form_data(f: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a handler as a board does; it keeps its name and docstring."""
    wrapper: Callable[..., Any] = wraps(f)(_with_form_data(f))
    return wrapper


class FormData(dict[str, Any]):
    """Fields or files of a form: a dict in which the last of several values of a name counts; `getlist()` has them all."""

    def __init__(self) -> None:
        super().__init__()
        self._lists: dict[str, list[Any]] = {}

    def __setitem__(self, name: str, value: Any) -> None:
        self._lists.setdefault(name, []).append(value)
        super().__setitem__(name, value)

    def getlist(self, name: str, type: Callable[[Any], Any] | None = None) -> list[Any]:
        """Return all values of `name`, each converted by `type`, in the order of the form."""
        return [value if type is None else type(value) for value in self._lists.get(name, ())]
