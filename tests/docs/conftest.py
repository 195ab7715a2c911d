"""The site, built once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from docs.pages import DOCS

from project import BUILD, ROOT

SITE = BUILD / "site"


def clear() -> None:
    """Begin anew: Sphinx knows pages, and neither docstrings nor what the pages of sources link to."""
    for folder in (SITE, BUILD / "site-doctrees"):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def site() -> Path:
    """Return the folder of the site, brought up to date when a page or a docstring has changed since."""
    built = SITE / "objects.inv"
    sources = [*DOCS.rglob("*"), *ROOT.glob("packages/*/src/**/*.py"), ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
    newest = max(path.stat().st_mtime for path in sources if path.is_file() and "api" not in path.parts)
    if not built.exists() or built.stat().st_mtime < newest:
        clear()
        command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
        command += ["-d", str(BUILD / "site-doctrees"), str(DOCS), str(SITE)]
        run = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, timeout=300)
        assert not run.returncode, run.stderr
        built.touch()
    return SITE
