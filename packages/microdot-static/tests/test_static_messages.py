"""What is said about a folder that is not there. CPython only: a board says nothing."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from microdot import Microdot
from microdot.static import Static


def test_a_folder_that_is_not_there_is_warned_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "web").mkdir()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        Static(Microdot(), "", "web")
        assert not seen
        Static(Microdot(), "", "wbe")
    (warning,) = seen
    assert str(warning.message) == f"Static: there is no folder wbe, seen from {Path.cwd()}" and warning.filename == __file__
