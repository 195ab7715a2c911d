"""What CPython does its own way for microdot.multipart: larger blocks, a folder for temporary files, `getlist()` of forms.

A board never gets this file, and `multipart.py`, which imports it at its end, works without it.
"""

import os
from collections.abc import Callable
from os import replace as replace  # rename() refuses to replace a file on Windows
from tempfile import gettempdir
from typing import Any

from . import multipart

multipart.FormDataIter.buffer_size = 65536  # small blocks would cost most of the time
multipart.FileUpload.folder = gettempdir() + os.sep

if os.sep != "/":  # Windows: the other module looks for slashes
    _save = multipart.FileUpload.save

    async def _save_by_slashes(self: multipart.FileUpload, path_or_file: Any) -> str | None:
        if not hasattr(path_or_file, "write"):
            path_or_file = str(path_or_file).replace(os.sep, "/")
        return await _save(self, path_or_file)

    multipart.FileUpload.save = _save_by_slashes  # type: ignore[method-assign]


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
