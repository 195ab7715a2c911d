"""One source for each package: pyproject.toml and src/. Wheel, manifest.py, package.json and mip index say the same."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import Any

import gen
import mip
import release
from project import CORE, ROOT, Package, repository
from support.environments import run


class Manifest:
    """What a manifest.py asks for: the functions that MicroPython's manifestfile offers, recording."""

    def __init__(self, path: Path) -> None:
        """Run the manifest at `path`."""
        self.path = path
        self.about: dict[str, Any] = {}
        self.required: list[str] = []
        self.files: list[str] = []
        self.libraries: dict[str, Path] = {}
        names = {
            "metadata": self.metadata,
            "add_library": self.add_library,
            "require": self.require,
            "package": self.package,
        }
        exec(compile(path.read_text(), str(path), "exec"), names)

    def metadata(self, **about: Any) -> None:
        assert not self.about, "metadata() twice"
        self.about = about

    def add_library(self, name: str, path: str) -> None:
        self.libraries[name] = self.path.parent / path

    def require(self, name: str, library: str) -> None:
        assert (self.libraries[library] / name / "manifest.py").is_file()
        self.required.append(name)

    def package(self, name: str, files: tuple[str, ...], base_path: str, opt: int) -> None:
        assert opt == 3
        for file in files:
            assert (self.path.parent / base_path / name / file).is_file(), file
            self.files.append(f"{name}/{file}")


def test_directory_and_version(members: list[Package]) -> None:
    assert members[0].name == CORE
    assert len({package.version for package in members}) == 1
    assert gen.problems(members) == []


def test_generated_files_are_up_to_date() -> None:
    for path, text in gen.outputs().items():
        assert path.read_text(encoding="utf-8") == text, f"{path}: run python tools/gen.py"


def test_wheel_holds_the_sources(members: list[Package], wheels: dict[str, Path]) -> None:
    for package in members:
        with zipfile.ZipFile(wheels[package.name]) as archive:
            inside = {name for name in archive.namelist() if name.startswith("microdot/")}
            assert inside == {f"microdot/{name}" for name in package.files()}
            for name in package.files():
                assert archive.read(f"microdot/{name}") == (package.source / name).read_bytes(), name
            (metadata_name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
            metadata = Parser().parsestr(archive.read(metadata_name).decode())
        assert (metadata["Name"], metadata["Version"]) == (package.name, package.version)
        assert metadata["Summary"] == package.description
        assert metadata["Requires-Python"] == ">=3.10"
        assert metadata["License-Expression"] == "MIT"
        plain = [line for line in metadata.get_all("Requires-Dist") or [] if "extra ==" not in line]
        assert sorted(plain) == sorted(package.requirements)


def test_extras_of_the_core_are_the_packages(members: list[Package]) -> None:
    extras = members[0].table["project"]["optional-dependencies"]
    others = [package for package in members if package.name != CORE]
    assert extras.pop("all") == [f"{CORE}[{','.join(package.short for package in others)}]"]
    assert extras == {package.short: [f"{package.name}=={package.version}"] for package in others}


def test_manifest_and_package_json_name_the_board_files(members: list[Package]) -> None:
    for package in members:
        paths = package.directory / "manifest.py", package.directory / "package.json"
        if not package.boards:
            assert not any(path.exists() for path in paths)
            continue
        expected = [f"microdot/{name}" for name in package.board_files()]
        manifest = Manifest(paths[0])
        assert manifest.about["version"] == package.version
        assert manifest.about["pypi_publish"] == package.name
        assert manifest.files == expected
        assert manifest.required == [name for name, _ in package.siblings()]
        document = json.loads(paths[1].read_text())
        assert document["version"] == package.version
        assert [target for target, _ in document["urls"]] == expected
        published = repository()
        for target, source in document["urls"]:
            path = source.removeprefix(f"github:{published}/packages/{package.name}/")
            assert (package.directory / path).read_bytes() == (package.source.parent / target).read_bytes()
        assert document["deps"] == [
            [f"github:{published}/packages/{name}", f"v{version}"] if published else [name, version]
            for name, version in package.siblings()
        ]


def test_index_holds_the_board_files(members: list[Package], index: Path) -> None:
    listed = {entry["name"]: entry for entry in json.loads((index / "index.json").read_text())["packages"]}
    assert set(listed) == {package.name for package in members if package.boards}
    for package in members:
        if not package.boards:
            continue
        assert listed[package.name]["version"] == package.version
        for tag, suffix in (("py", ".py"), ("6", ".mpy")):
            assert listed[package.name]["versions"][tag] == [package.version]
            folder = index / "package" / tag / package.name
            text = (folder / f"{package.version}.json").read_text()
            assert (folder / "latest.json").read_text() == text
            document = json.loads(text)
            assert document["version"] == package.version
            assert document["deps"] == [list(sibling) for sibling in package.siblings()]
            names = [name for name, _ in document["hashes"]]
            texts = package.published() if suffix == ".mpy" else package.board_files()
            assert names == sorted(f"microdot/{Path(path).stem}{suffix}" for path in texts)
            for name, short in document["hashes"]:
                content = (index / "file" / short[:2] / short).read_bytes()
                assert hashlib.sha256(content).hexdigest().startswith(short)
                if suffix == ".mpy":
                    assert content[:2] == b"M\x06", name
                else:
                    assert content == (package.source.parent / name).read_bytes()


def test_host_only_files_are_on_no_board(members: list[Package], wheels: dict[str, Path], index: Path) -> None:
    core = members[0]
    assert "_cpython.py" in core.host_only
    with zipfile.ZipFile(wheels[CORE]) as archive:
        assert "microdot/_cpython.py" in archive.namelist()
    for path in (core.directory / "manifest.py", core.directory / "package.json", *index.rglob("*.json")):
        assert "_cpython" not in path.read_text()


def test_index_is_reproducible(wheels: dict[str, Path], index: Path, tmp_path: Path) -> None:
    mip.make_index(wheels.values(), tmp_path / "again")
    files = sorted(path.relative_to(index) for path in index.rglob("*") if path.is_file())
    assert files == sorted(
        path.relative_to(tmp_path / "again") for path in (tmp_path / "again").rglob("*") if path.is_file()
    )
    for path in files:
        assert (index / path).read_bytes() == (tmp_path / "again" / path).read_bytes()


def test_a_published_version_never_changes(wheels: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "published"
    mip.make_index(wheels.values(), out)
    mip.make_index(wheels.values(), out, keep=True)
    changed = tmp_path / wheels[CORE].name
    with zipfile.ZipFile(wheels[CORE]) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, content + b"\nx = 1\n" if name == "microdot/__init__.py" else content)
    try:
        mip.make_index([changed], out, keep=True)
    except ValueError as error:
        assert "is published with other files" in str(error)
    else:
        raise AssertionError("a published version was replaced")


def copy_of_repository(target: Path) -> Path:
    """Copy what the tools read and write."""
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc", ".mypy_cache", ".pytest_cache")
    for name in ("packages", "tools", "news"):
        shutil.copytree(ROOT / name, target / name, ignore=ignore)
    shutil.copytree(ROOT / "tests" / "support", target / "tests" / "support", ignore=ignore)
    (target / "docs").mkdir()
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "docs/index.md"):
        shutil.copyfile(ROOT / name, target / name)
    return target


def test_release_sets_one_version_everywhere(tmp_path: Path) -> None:
    root = copy_of_repository(tmp_path / "repository")
    (root / "news" / "thing.fixed.md").write_text("A thing works\nagain.\n")
    run([sys.executable, "tools/release.py", "7.8.9", "--date", "2030-01-02"], cwd=root)
    for path in root.glob("packages/*/*"):
        if path.suffix in (".toml", ".json", ".py"):
            text = path.read_text()
            assert "7.8.9" in text, path
            assert "0.1.0" not in text, path
    init = (root / "packages" / CORE / "src" / "microdot" / "__init__.py").read_text()
    assert '\n__version__ = "7.8.9"\n' in init
    log = (root / "CHANGELOG.md").read_text()
    assert "\n## 7.8.9 (2030-01-02)\n" in log
    assert "\n- A thing works again.\n" in log
    assert [path.name for path in (root / "news").iterdir()] == ["README.md"]
    run([sys.executable, "tools/gen.py", "--check"], cwd=root)
    said = run([sys.executable, "tools/release.py", "7.8.9"], cwd=root, code=1)
    assert "has a section for 7.8.9 already" in said


def test_release_refuses_what_it_does_not_understand() -> None:
    for news in ({Path("x.md"): "a"}, {Path("x.improved.md"): "a"}):
        try:
            release.changelog(release.MARK, news, "1.0.0", "2030-01-01")
        except ValueError as error:
            assert "NAME.KIND.md" in str(error)
        else:
            raise AssertionError(news)


def test_gen_says_what_is_out_of_date(tmp_path: Path) -> None:
    root = copy_of_repository(tmp_path / "repository")
    run([sys.executable, "tools/gen.py", "--check"], cwd=root)
    (root / "packages" / CORE / "src" / "microdot" / "added.py").write_text("")
    said = run([sys.executable, "tools/gen.py", "--check"], cwd=root, code=1)
    assert f"packages/{CORE}/manifest.py" in said and f"packages/{CORE}/package.json" in said
    run([sys.executable, "tools/gen.py"], cwd=root)
    run([sys.executable, "tools/gen.py", "--check"], cwd=root)
    (root / "packages" / "microdot-test-client" / "src" / "microdot" / "__init__.py").write_text("")
    said = run([sys.executable, "tools/gen.py", "--check"], cwd=root, code=1)
    assert "only microdot-core has __init__.py" in said


def test_new_package_works_at_once(tmp_path: Path, micropython32: Path) -> None:
    root = copy_of_repository(tmp_path / "repository")
    run([sys.executable, "tools/new.py", "two-words", "Something new"], cwd=root)
    run([sys.executable, "tools/gen.py", "--check"], cwd=root)
    assert 'two-words = ["microdot-two-words==' in (root / "packages" / CORE / "pyproject.toml").read_text()
    assert "packages/microdot-two-words/src" in (root / "pyproject.toml").read_text()
    assert "microdot-two-words" in (root / "README.md").read_text()
    assert "Two words <guide/two-words>\n```" in (root / "docs/index.md").read_text()
    assert "<!-- cost: microdot-two-words -->" in (root / "docs/guide/two-words.md").read_text()
    assert not (root / "packages/microdot-two-words/guide.md").exists()
    test = root / "packages/microdot-two-words/tests/test_two_words.py"
    said = run([sys.executable, "tools/upy.py", "--with", micropython32, test], cwd=root)
    assert "1 passed, 0 failed in 1 files" in said
    run([sys.executable, "tools/tree.py"], cwd=root)
    said = run([sys.executable, "tools/upy.py", "--with", sys.executable, "--tree", "build/tree", test], cwd=root)
    assert "1 passed, 0 failed in 1 files" in said
    said = run([sys.executable, "tools/new.py", "two-words", "Again"], cwd=root, code=1)
    assert "exists" in said
