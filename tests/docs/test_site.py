"""The site: links lead somewhere, nothing comes from another host, it fits a phone, and it says what it has to (CPython only)."""

from __future__ import annotations

import functools
import html.parser
import http.server
import re
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs.pages import DOCS, pages, parse

from project import CORE, ROOT, packages
from support.browser import browser_context

GUIDES = DOCS / "guide"


class Page(html.parser.HTMLParser):
    """What a page links to, what it loads, and where it may be linked to."""

    def __init__(self, path: Path) -> None:
        """Read a page."""
        super().__init__()
        self.path = path
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at a tag."""
        found = dict(attrs)
        for name in ("id", "name"):
            if found.get(name):
                self.anchors.add(found[name] or "")
        if tag == "a" and found.get("href") is not None:
            self.links.append(found["href"] or "")
        elif tag == "link" and found.get("rel") in ("stylesheet", "icon", "shortcut icon", "preload"):
            self.loads.append(found.get("href") or "")
        elif tag in ("script", "img", "iframe", "source", "video") and found.get("src"):
            self.loads.append(found["src"] or "")


@pytest.fixture(scope="module")
def read(site: Path) -> dict[Path, Page]:
    """Return all pages of the site."""
    return {path.resolve(): Page(path.resolve()) for path in site.rglob("*.html")}


def test_links(read: dict[Path, Page]) -> None:
    """Every link within the site has a page and an anchor; those to elsewhere are well-formed."""
    wrong = []
    outside = set()
    count = 0
    for path, page in read.items():
        for link in page.links:
            url = urllib.parse.urlsplit(link)
            if url.scheme or url.netloc:
                outside.add(link)
                continue
            count += 1
            target = (path.parent / urllib.parse.unquote(url.path)).resolve() if url.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.exists():
                wrong.append(f"{path.name}: {link}")
            elif url.fragment and target in read and "_modules" not in target.parts:
                if urllib.parse.unquote(url.fragment) not in read[target].anchors:
                    wrong.append(f"{path.name}: {link} (no such anchor)")
    assert count > 1000
    assert not wrong, "\n".join(sorted(set(wrong))[:30])
    for link in outside:
        form = r"https://[a-z0-9.-]+\.[a-z]{2,}(/\S*)?|https?://(127\.0\.0\.1|192\.0\.2\.\d+):\d+\S*|mailto:\S+@\S+"
        assert re.fullmatch(form, link), link


def test_nothing_comes_from_another_host(site: Path, read: dict[Path, Page]) -> None:
    for page in read.values():
        for load in page.loads:
            assert not urllib.parse.urlsplit(load).netloc, f"{page.path.name}: {load}"
            if not load.startswith("data:"):
                assert (page.path.parent / load.partition("?")[0]).exists(), f"{page.path.name}: {load}"
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import", style.read_text(encoding="utf-8")), style.name


def test_every_package_has_a_guide() -> None:
    """With an example, what happens on bad input, and what it costs."""
    for package in packages():
        name = "core" if package.name == CORE else package.short
        path = GUIDES / f"{name}.md"
        assert path.exists(), f"{package.name} has no {path.relative_to(ROOT)}"
        text = path.read_text(encoding="utf-8")
        assert any(block.language == "python" and "microdot" in block.text for block in parse(path)), name
        headings = " ".join(re.findall(r"(?m)^#+ (.+)$", text)).lower()
        assert "what happens on bad input" in headings, name
        assert "cost" in headings, f"{name}: what does it cost?"
        assert not package.boards or f"<!-- cost: {package.name} -->" in text, f"{name}: its figures are to be the measured ones"
    guides = {path.stem for path in GUIDES.glob("*.md")}
    assert guides == {"core" if package.name == CORE else package.short for package in packages()}


def test_weights_are_not_typed() -> None:
    """They come from the tables of performance.md, which tools/size.py writes."""
    for path in pages():
        if path.is_relative_to(DOCS) and path.name not in ("performance.md", "what-it-costs.md"):
            typed = re.findall(r"[\d.,]+ (?:bytes|B|KB) of `?\.mpy.{20}", path.read_text(encoding="utf-8"))
            assert not typed, f"{path.name}: {typed}"


def test_costs_are_shown(site: Path) -> None:
    text = (site / "guide" / "session.html").read_text(encoding="utf-8")
    table = re.search(r"(?m)^\| microdot-session +\|(.+)\|$", (DOCS / "performance.md").read_text(encoding="utf-8"))
    assert table
    cells = [cell.strip() for cell in table[1].split("|")]
    assert f"{cells[1]} of" in text and cells[-2] in text


def test_the_api_has_every_module(site: Path) -> None:
    """And of the classes that programs use, what they have when it is asked for."""
    for package in packages():
        if package.name != CORE:
            for name in package.files():
                if name.endswith(".py") and not name.startswith("_"):
                    module = "microdot." + name[:-3].replace("/", ".")
                    page = site / "api" / f"{module}.html"
                    assert page.exists(), f"no page for {module}"
                    assert 'class="sig ' in page.read_text(encoding="utf-8") or "utemplate_compile" in module, module
    core = Page(site / "api" / "microdot.html").anchors
    for name in ("app.Microdot.put", "app.Microdot.on", "app.Microdot.max_connections", "http.Request.json", "http.Request.upgrade"):
        assert f"microdot.{name}" in core, name
    for name in ("http.Response.set_cookie", "http.Response.send_file", "patterns.URLPattern", "http.abort"):
        assert f"microdot.{name}" in core, name
    assert "microdot.static.Static" in Page(site / "api" / "microdot.static.html").anchors


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    """Serve the site to this machine alone."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    thread.join()
    server.server_close()


LOOKED_AT = ("index", "tutorial/hello", "guide/core", "boards", "performance", "examples", "api/microdot")


async def test_on_a_phone_and_in_the_dark(address: str) -> None:
    """No page is wider than a phone, colours differ enough in both schemes, nothing fails, and the scripts of all blocks parse."""
    scripts = [block for page in pages() for block in parse(page) if block.language == "js"]
    elsewhere: list[str] = []
    failed: list[str] = []
    async with browser_context() as context:
        page = await context.new_page()
        page.on("request", lambda request: None if request.url.startswith((address, "data:")) else elsewhere.append(request.url))
        page.on("pageerror", lambda error: failed.append(str(error)))
        page.on("response", lambda response: failed.append(response.url) if response.status >= 400 else None)
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            await page.set_viewport_size({"width": 390, "height": 844})
            for name in LOOKED_AT:
                await page.goto(f"{address}{name}.html")
                assert await page.evaluate("document.documentElement.scrollWidth") <= 390, f"{name} is too wide"
                assert await page.evaluate(CONTRAST) > 4.5, f"{name}, {scheme}"
        await page.set_viewport_size({"width": 1280, "height": 800})
        await page.goto(f"{address}index.html")
        await page.click("text=Your first page →")
        assert "tutorial/hello" in page.url
        await page.fill("input[name=q]", "max_connections")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("ul.search li a")
        for block in scripts:
            await page.evaluate("source => { new Function(source); }", block.text)
    assert scripts and not elsewhere and not failed, (elsewhere, failed)


# The ratio of WCAG 2.2, 1.4.3: text of paragraphs, links and code against what is behind them; the least of them.
CONTRAST = """() => {
  const channel = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = (text) => {
    const [r, g, b] = text.match(/[\\d.]+/g).map(Number);
    return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  };
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const color = getComputedStyle(element).backgroundColor;
      if (!/rgba\\(.*, 0\\)|transparent/.test(color)) return color;
    }
    return "rgb(255, 255, 255)";
  };
  let least = 21;
  for (const element of document.querySelectorAll("article p, article a.reference, article code, article h1")) {
    if (!element.textContent.trim()) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(behind(element))];
    least = Math.min(least, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
  }
  return least;
}"""


def test_what_the_start_page_leads_to(read: dict[Path, Page], site: Path) -> None:
    """Everything that a newcomer looks for is one step away."""
    start = read[(site / "index.html").resolve()]
    for name in ("tutorial/hello", "guide/core", "api/index", "examples", "boards", "deployment", "security", "performance"):
        assert any(link.startswith(f"{name}.html") for link in start.links), name

