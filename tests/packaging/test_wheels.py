"""The wheels, installed in fresh environments: nothing is owned twice, all can be mixed and removed, types are seen."""

from __future__ import annotations

import csv
import io
import sys
import zipfile
from pathlib import Path

import pytest

from project import CORE, ROOT, Package
from support.environments import Environment, run

CONSUMERS = Path(__file__).parent / "consumers"
EXTENSION = "microdot-test-client"


def module_of(package: Package) -> str:
    return "microdot" if package.name == CORE else "microdot." + package.short.replace("-", "_")


def records(wheel: Path) -> list[str]:
    """Return the files that a wheel's RECORD lists."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/RECORD"))
        return [row[0] for row in csv.reader(io.StringIO(archive.read(name).decode()))]


def third_party(members: list[Package]) -> list[str]:
    return [line for package in members for line in package.requirements if not line.startswith("microdot-")]


def test_no_file_is_owned_twice(wheels: dict[str, Path]) -> None:
    owners: dict[str, str] = {}
    for name, wheel in wheels.items():
        for path in records(wheel):
            assert path not in owners, f"{path} is in {owners[path]} and in {name}"
            owners[path] = name
    assert owners["microdot/__init__.py"] == CORE
    assert owners["microdot/py.typed"] == CORE


def test_wheels_hold_nothing_but_the_package(wheels: dict[str, Path]) -> None:
    for name, wheel in wheels.items():
        for path in records(wheel):
            assert path.startswith(("microdot/", name.replace("-", "_") + "-")), f"{name}: {path}"


def test_core_alone_imports(environment: Environment, wheels: dict[str, Path]) -> None:
    environment.pip("install", "--no-index", wheels[CORE])
    said = environment.run("-c", "import microdot; print(microdot.Microdot.__name__, microdot.__file__)")
    assert said.startswith("Microdot ")
    assert str(environment.site) in said
    assert "No broken requirements" in environment.pip("check")


def test_each_package_brings_what_it_needs(
    tmp_path: Path, members: list[Package], wheels: dict[str, Path]
) -> None:
    dist = wheels[CORE].parent
    for package in members:
        if third_party([package]):
            continue
        environment = Environment(tmp_path / package.name)
        environment.pip("install", "--no-index", "--find-links", dist, f"{package.name}=={package.version}")
        environment.run("-W", "error", "-c", f"import {module_of(package)}")
        assert "No broken requirements" in environment.pip("check")


def test_extras_install_the_packages(environment: Environment, members: list[Package], wheels: dict[str, Path]) -> None:
    offline = [] if third_party(members) else ["--no-index"]
    environment.pip("install", *offline, "--find-links", wheels[CORE].parent, f"{wheels[CORE]}[all]")
    assert "No broken requirements" in environment.pip("check")
    for package in members:
        environment.run("-c", f"import {module_of(package)}")
        assert list(environment.site.glob(f"{package.name.replace('-', '_')}-*.dist-info")), package.name


def test_one_uninstalled_leaves_the_others(environment: Environment, wheels: dict[str, Path]) -> None:
    environment.pip("install", "--no-index", wheels[CORE], wheels[EXTENSION])
    environment.run("-c", "import microdot.test_client")
    environment.mypy(CONSUMERS / "good.py")
    environment.pip("uninstall", "-y", EXTENSION)
    environment.run("-c", "from microdot import Microdot")
    said = environment.run("-c", "import microdot.test_client", code=1)
    assert "No module named 'microdot.test_client'" in said
    assert "microdot.test_client" in environment.mypy(CONSUMERS / "good.py", code=1)
    environment.pip("uninstall", "-y", CORE)
    left = [path for path in environment.site.rglob("microdot*")]
    assert left == []


def test_types_of_the_installed_packages(environment: Environment, wheels: dict[str, Path]) -> None:
    environment.pip("install", "--no-index", wheels[CORE], wheels[EXTENSION])
    assert "no issues found" in environment.mypy(CONSUMERS / "good.py")
    said = environment.mypy(CONSUMERS / "bad.py", code=1)
    expected = {
        number
        for number, line in enumerate((CONSUMERS / "bad.py").read_text().splitlines(), 1)
        if line.endswith("# expect: error")
    }
    found = {int(line.split(":")[1]) for line in said.splitlines() if ": error: " in line}
    assert expected and found == expected, said


@pytest.mark.parametrize("linked", [CORE, EXTENSION])
def test_wheel_and_editable_mix(environment: Environment, wheels: dict[str, Path], linked: str) -> None:
    """An editable install is a .pth with the path of `src`; the core's `extend_path` joins the two places."""
    other = EXTENSION if linked == CORE else CORE
    environment.pip("install", "--no-index", "--no-deps", wheels[other])
    (environment.site / "editable.pth").write_text(f"{ROOT / 'packages' / linked / 'src'}\n")
    environment.run("-W", "error", "-c", "import microdot.test_client; from microdot import Microdot")


def test_sdist_builds_the_same_wheel(tmp_path: Path, wheels: dict[str, Path]) -> None:
    for name, wheel in wheels.items():
        (sdist,) = wheel.parent.glob(f"{wheel.name.split('-')[0]}-*.tar.gz")
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps", "--no-index"]
        run([*pip, "--no-build-isolation", "-w", tmp_path, sdist], cwd=tmp_path)
        assert records(tmp_path / wheel.name) == records(wheel), name
