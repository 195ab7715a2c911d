"""A release, tried in a copy of the repository: what it makes can be installed, and a second one takes nothing away."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import mip
from project import CORE, ROOT
from support.environments import Environment, run

EXTENSION = "microdot-sse"


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on 127.0.0.1; yields its address."""
    server = mip.index_server(folder)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with two packages, of which 1.0.0 and 1.1.0 were released into `releases`."""
    root = tmp_path_factory.mktemp("copy") / "repository"
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc", "tests")
    for name in ("tools", "news", f"packages/{CORE}", f"packages/{EXTENSION}"):
        shutil.copytree(ROOT / name, root / name, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE"):
        shutil.copyfile(ROOT / name, root / name)
    (root / "news" / "first.added.md").write_text("Everything is new.\n")
    release(root, "1.0.0", "--repository", "someone/boards")
    with (root / "packages" / EXTENSION / "src/microdot/sse.py").open("a") as file:
        file.write("\n\nCHANGED = 11\n")
    (root / "news" / "second.changed.md").write_text("Something is different.\n")
    assert "Nothing was committed, tagged or uploaded." in release(root, "1.1.0")
    return root


def release(root: Path, *arguments: str, code: int = 0) -> str:
    return run([sys.executable, "tools/release.py", *arguments, "--out", "releases"], cwd=root, code=code)


def test_the_changelog_and_the_versions(repository: Path) -> None:
    log = (repository / "CHANGELOG.md").read_text()
    assert re.findall(r"(?m)^## (\S+)", log) == ["1.1.0", "1.0.0"]
    assert log.index("Something is different.") < log.index("## 1.0.0") < log.index("Everything is new.")
    assert "Everything is new" not in log[: log.index("## 1.0.0")]
    text = (repository / "packages" / EXTENSION / "pyproject.toml").read_text()
    assert 'version = "1.1.0"' in text and f'"{CORE}==1.1.0"' in text


def test_wheels_of_both_install(repository: Path, environment: Environment) -> None:
    wheels = repository / "releases" / "wheels"
    for version in ("1.1.0", "1.0.0"):
        names = {path.name for path in (wheels / version).iterdir()}
        assert names == {f"{n}-{version}{end}" for n in ("microdot_core", "microdot_sse") for end in ("-py3-none-any.whl", ".tar.gz")}
        find = [f"--find-links={wheels / one}" for one in ("1.0.0", "1.1.0")]
        environment.pip("install", "-q", "--no-index", *find, f"{CORE}[sse]=={version}")
        said = environment.run("-c", "import microdot, microdot.sse as s; print(microdot.__version__, hasattr(s, 'CHANGED'))")
        assert said.split() == [version, str(version == "1.1.0")]


def test_the_index_keeps_versions(repository: Path, micropython32: Path, tmp_path: Path) -> None:
    """With MicroPython's own mip, in a heap of 64 KB."""
    site = repository / "releases" / "site"
    assert [entry["versions"]["6"] for entry in json.loads((site / "index.json").read_text())["packages"]] == [
        ["1.0.0", "1.1.0"]
    ] * 2
    page = (site / "index.html").read_text()
    assert "<td>microdot-sse<td>1.1.0<td>1.0.0<td>" in page and "//" not in re.sub(r"location\S+|<!--.*?-->", "", page)
    program = "import mip; mip.install({!r}, index={!r}, target='lib', version={!r})"
    with served(site) as address:
        for version in ("1.0.0", None, "1.0.0"):
            said = run(
                [micropython32, "-X", "heapsize=64k", "-c", program.format(EXTENSION, address, version)], cwd=tmp_path
            )
            assert said.rstrip().endswith("Done"), said
            check = "import sys; sys.path[:] = ['lib', '.frozen']; import microdot.sse as s; print(microdot.__version__, 'CHANGED' in dir(s))"
            found = run([micropython32, "-X", "heapsize=64k", "-c", check.replace("; print", "; import microdot; print")], cwd=tmp_path)
            assert found.split() == [version or "1.1.0", str(version is None)]


def test_straight_from_the_repository(repository: Path, micropython32: Path, tmp_path: Path) -> None:
    """`github:` installs: the same files, here from a server of our own in place of GitHub's."""
    (tmp_path / "raw/someone/boards").mkdir(parents=True)
    for ref in ("v1.1.0", "HEAD"):
        (tmp_path / "raw/someone/boards" / ref).symlink_to(repository)
    with served(tmp_path / "raw") as address:
        program = f"""
import mip
rewritten = mip._rewrite_url
def here(url, branch=None):
    url = rewritten(url, branch)
    parts = url.split("/")
    return {address!r} + "/" + "/".join(parts[3:]) if parts[0] == "https:" else url
mip._rewrite_url = here
mip.install("github:someone/boards/packages/{EXTENSION}", target="lib")
"""
        said = run([micropython32, "-X", "heapsize=128k", "-c", program], cwd=tmp_path)
    assert said.rstrip().endswith("Done"), said
    for package in (CORE, EXTENSION):
        document = json.loads((repository / "packages" / package / "package.json").read_text())
        for target, source in document["urls"]:
            path = repository / source.removeprefix("github:someone/boards/")
            assert (tmp_path / "lib" / target).read_bytes() == path.read_bytes()
    assert document["deps"] == [[f"github:someone/boards/packages/{CORE}", "v1.1.0"]]


def test_bundles_for_circuitpython(repository: Path) -> None:
    there = repository / "releases" / "site" / "circuitpython"
    assert {path.name for path in there.iterdir()} == {"boards-py-1.0.0.zip", "boards-py-1.1.0.zip"}
    with zipfile.ZipFile(there / "boards-py-1.1.0.zip") as archive:
        assert "CHANGED = 11" in archive.read("boards-py-1.1.0/lib/microdot/sse.py").decode()


def test_what_is_released_stays_as_it_is(repository: Path) -> None:
    """The last test: it breaks the copy."""
    with (repository / "packages" / EXTENSION / "src/microdot/sse.py").open("a") as file:
        file.write("# and something else\n")
    assert "microdot_sse-1.1.0-py3-none-any.whl would change: give it a new version" in release(repository, "--build", code=1)
    assert "has a section for 1.1.0 already" in release(repository, "1.1.0", code=1)
    assert "is no version" in release(repository, "1.2", code=1)


def test_what_latest_means() -> None:
    for versions, wanted in (
        (["0.9.0", "0.10.0"], "0.10.0"),
        (["1.0.0", "1.1.0rc1"], "1.0.0"),
        (["1.0.0rc2", "1.0.0rc1"], "1.0.0rc2"),
        (["1.0.0rc1", "1.0.0"], "1.0.0"),
    ):
        assert mip.newest(versions) == wanted
