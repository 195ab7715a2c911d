"""Start a new package from tools/template.

    python tools/new.py metrics "Counters and timings, in the text format of Prometheus"

makes packages/microdot-metrics with a module `microdot.metrics` that does one small thing, a test of it that passes on
CPython and on boards, a README, and a page of the guide; then it brings up to date what depends on the list of packages
(tools/gen.py). It overwrites nothing, and says at its end what only a person can write.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from project import PREFIX, ROOT, packages, shown

TEMPLATE = Path(__file__).resolve().parent / "template"
GUIDE = "guide.md"
"""The one file of the template that goes to docs/guide."""

REST = """To be written: the module, its tests, its README and docs/guide/@SHORT@.md, and a file in news/.
For the checks it also needs a budget in budget.toml, a row in docs/install.md, and, if it runs on boards, how it is used while
it is measured: FEATURES in tools/cost.py. Then

    python tools/size.py --markdown
    python tools/cost.py --update

measure it."""


def make_package(name: str, description: str, root: Path = ROOT) -> Path:
    """Write the skeleton of a package and return its directory.

    Args:
        name: `metrics` or `microdot-metrics`.
        description: one line without a full stop; it becomes the summary everywhere.
        root: the repository.

    Raises:
        ValueError: the name or the description will not do, or the package is there.
    """
    name = name if name.startswith(PREFIX) else PREFIX + name
    if not re.fullmatch(r"microdot-[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise ValueError(f"{name}: give lower-case words with dashes")
    if '"' in description or "\\" in description or "\n" in description or not description.strip():
        raise ValueError("description: give one line without quotes and backslashes")
    directory = root / "packages" / name
    short = name[len(PREFIX) :]
    for path in (directory, root / "docs" / "guide" / f"{short}.md"):
        if path.exists():
            raise ValueError(f"{shown(path)} exists")
    words = {
        "NAME": name,
        "SHORT": short,
        "MODULE": short.replace("-", "_"),
        "CLASS": "".join(word.capitalize() for word in short.split("-")),
        "DESCRIPTION": description.strip().rstrip("."),
        "VERSION": packages(root)[0].version,
    }

    def fill(text: str) -> str:
        return re.sub(r"@([A-Z]+)@", lambda match: words[match.group(1)], text)

    for source in sorted(TEMPLATE.rglob("*")):
        if source.is_file() and "__pycache__" not in source.parts:
            target = directory / fill(source.relative_to(TEMPLATE).as_posix())
            if source.name == GUIDE:
                target = root / "docs" / "guide" / f"{short}.md"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(fill(source.read_text(encoding="utf-8")), encoding="utf-8")
    index = root / "docs" / "index.md"
    pages = index.read_text(encoding="utf-8")
    last = list(re.finditer(r"(?m)^.+ <guide/[\w-]+>\n", pages))[-1].end()
    index.write_text(f"{pages[:last]}{short.replace('-', ' ').capitalize()} <guide/{short}>\n{pages[last:]}", encoding="utf-8")
    return directory


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="metrics, or microdot-metrics")
    parser.add_argument("description", help="one line, without a full stop")
    options = parser.parse_args()
    try:
        directory = make_package(options.name, options.description)
    except ValueError as error:
        print(f"new: {error}", file=sys.stderr)
        return 1
    print(f"{shown(directory)} is there")
    code = subprocess.run([sys.executable, str(ROOT / "tools" / "gen.py")]).returncode
    print(REST.replace("@SHORT@", directory.name[len(PREFIX) :]))
    return code


if __name__ == "__main__":
    sys.exit(main())
