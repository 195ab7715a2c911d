"""What is said about a template that is not there. CPython only: the compiled files of boards say less."""

from __future__ import annotations

from pathlib import Path

import pytest

from microdot.utemplate import Template


def test_a_missing_template_is_told_from_a_missing_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "pages_messages").mkdir()
    (tmp_path / "pages_messages/needy_html.py").write_text("import no_such_module\n")
    Template.initialize("pages_messages")
    try:
        with pytest.raises(ImportError, match="file pages_messages/absent.html, seen from .*, nor a module pages_messages.absent_html") as absent:
            Template("absent.html")
        assert str(tmp_path) in str(absent.value)
        with pytest.raises(ImportError, match="^No module named 'no_such_module'$"):
            Template("needy.html")
    finally:
        Template.initialize()
