"""What CPython does its own way for microdot.multipart: larger blocks and forms, all kinds of paths, `getlist()` of forms.

A board never gets this file, and `multipart.py`, which imports it at its end, works without it.
"""

import os
from collections.abc import Callable
from functools import wraps
from tempfile import gettempdir
from typing import Any

from . import multipart

multipart.FormDataIter.buffer_size = 65536  # small blocks would cost most of the time
multipart.FormDataIter.max_form = 65536
multipart.FileUpload.folder = gettempdir() + os.sep

_save = multipart.FileUpload.save
_with_form_data = multipart.with_form_data


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
