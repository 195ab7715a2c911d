"""The pages of the documentation, taken apart into blocks and the comments that say how to try them (CPython only).

A comment of HTML stands directly before the block that it is about, and nobody sees it who reads the page:

    <!-- file: templates/index.html -->       the block is this file of the page's folder; it is there before any program runs
    <!-- board -->                            the block runs on MicroPython too, with stand-ins for what only a board has
    <!-- fresh -->                            the block begins a new program: it sees no names of the blocks before it
    <!-- before: PYTHON -->                   runs before the block, in its names
    <!-- after: PYTHON -->                    runs after it; may await
    <!-- is: PYTHON -->                       the block, which is text, is what this expression gives
    <!-- skip: REASON -->                     the block cannot be tried, and why

`after` may have requests among its lines, with or without header fields and body; the answer has the status and, somewhere in
its body, the text:

    GET /hello/you -> 200 hello
    POST /lamp [Authorization: Bearer x] {"on": true} -> 200 {"on": true}
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt

from project import ROOT

DOCS = ROOT / "docs"
WORDS = ("file", "board", "fresh", "before", "after", "is", "skip")
OTHERS = ("cost", "examples", "packages", "end of packages", "size", "bench")
"""Comments that are the business of other tools."""


@dataclass
class Block:
    """A fenced block."""

    page: Path
    line: int
    """Of its first line, counted from 1."""
    language: str
    text: str
    words: dict[str, list[str]] = field(default_factory=dict)
    """What the comments before it say: word → what stands behind the colon, one entry for each comment."""

    @property
    def where(self) -> str:
        """Page and line, as editors open them."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


class BadPage(AssertionError):
    """A page has what nobody can try."""


def pages() -> list[Path]:
    """Return every page that has blocks to try: those of the site, and the README."""
    found = [path for path in DOCS.rglob("*.md") if "api" not in path.relative_to(DOCS).parts]
    return sorted([*found, ROOT / "README.md", ROOT / "CONTRIBUTING.md"])


def parse(page: Path) -> list[Block]:
    """Return the blocks of a page in their order.

    Raises:
        BadPage: a block is indented and not fenced, names no language, or a comment is none of those above.
    """
    blocks = []
    words: dict[str, list[str]] = {}
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8")):
        line = token.map[0] + 1 if token.map else 0
        where = f"{page.relative_to(ROOT)}:{line}"
        if token.type == "html_block":
            for comment in re.findall(r"(?s)<!--\s*(.*?)\s*-->", token.content):
                word, _, text = comment.partition(":")
                if word in WORDS:
                    words.setdefault(word, []).append(text.strip("\n") if "\n" in text else text.strip())
                elif word not in OTHERS:
                    raise BadPage(f"{where}: a comment that nobody understands: {comment[:40]}")
        elif token.type == "code_block":
            raise BadPage(f"{where}: fence the block, and name its language")
        elif token.type == "fence":
            language = token.info.strip()
            if not language:
                raise BadPage(f"{where}: the block names no language")
            if language.startswith("{"):  # a directive of the site, no block
                if words:
                    raise BadPage(f"{where}: comments before a directive")
                continue
            blocks.append(Block(page, line, language, token.content, words))
            words = {}
        elif words and token.type not in ("inline", "paragraph_close"):
            raise BadPage(f"{where}: a comment that no block follows: {', '.join(words)}")
    if words:
        raise BadPage(f"{page.name}: a comment that no block follows: {', '.join(words)}")
    return blocks
