"""One browser for all examples, and a phone's view of each."""

from __future__ import annotations

import base64
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest_asyncio
from support.browser import browser_context
from support.wire_server import ROOT

SHOTS = ROOT / "docs" / "_static" / "shots"
REWRITE = os.environ.get("MICRODOT_SHOTS", "") not in ("", "0")
"""Whether the screenshots of the documentation are taken anew: `MICRODOT_SHOTS=1 python -m pytest tests/examples`."""

PHONE = {"width": 390, "height": 620}

COLORS = """async url => {
  const image = new Image()
  image.src = url
  await image.decode()
  const canvas = new OffscreenCanvas(image.width, image.height)
  const context = canvas.getContext('2d')
  context.drawImage(image, 0, 0)
  const pixels = new Uint32Array(context.getImageData(0, 0, image.width, image.height).data.buffer)
  const counts = new Map()
  const some = 7
  for (let at = 0; at < pixels.length; at += some) counts.set(pixels[at], (counts.get(pixels[at]) || 0) + 1)
  return [image.width, image.height, counts.size, Math.max(...counts.values()) * some / pixels.length]
}"""
"""Size of a picture, how many colors it has, and how much of it is of the same one."""

PAPER = """() => {
  const paper = document.createElement('p')
  const own = getComputedStyle(document.body).backgroundColor
  paper.style.backgroundColor = own == 'rgba(0, 0, 0, 0)' ? 'Canvas' : own
  document.body.append(paper)
  const color = getComputedStyle(paper).backgroundColor
  paper.remove()
  return color.match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0)
}"""
"""How bright the page is behind everything: 0 to 765."""


class Phone:
    """A page in a profile of its own, as large as a phone's; what it asks for and complains of is noted.

    Args:
        page: the page.
        judge: an empty page, which looks at screenshots.
    """

    def __init__(self, page: Any, judge: Any) -> None:
        self.page = page
        self.judge = judge
        self.asked: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} {message.location.get('url', '')}")

    async def look(self, name: str, url: str, shot: bool = True, allowed: tuple[str, ...] = ()) -> None:
        """Check that the page fits, complains of nothing and asks nobody else; take its screenshot, which shows something.

        Args:
            name: of the screenshot.
            url: the address of the server.
            shot: whether to take it: once is enough for both runtimes.
            allowed: what complaints may be there because the test has provoked them.
        """
        page = self.page
        complaints = [one for one in self.complaints if not any(word in one for word in allowed)]
        assert not complaints, complaints
        home = urlsplit(url).netloc
        elsewhere = [one for one in self.asked if urlsplit(one).netloc not in (home, "") and not one.startswith("data:")]
        assert self.asked and not elsewhere, elsewhere
        assert len((await page.inner_text("body")).strip()) > 10
        widths = await page.evaluate("[innerWidth, document.documentElement.scrollWidth, document.body.scrollWidth]")
        assert widths[0] == PHONE["width"] and max(widths) == PHONE["width"], f"{name} scrolls sideways: {widths}"
        if not shot:
            return
        await page.evaluate("document.activeElement.blur()")
        await self._shot(name)
        light = await page.evaluate(PAPER)
        await page.emulate_media(color_scheme="dark")
        dark = await page.evaluate(PAPER)
        await page.emulate_media(color_scheme="light")
        assert light > 600 > 250 > dark, f"{name} is as bright in the dark as in the light: {light}, {dark}"
        if not REWRITE:
            assert (SHOTS / f"{name}.png").exists(), f"no screenshot of {name}: MICRODOT_SHOTS=1 takes it"

    async def _shot(self, name: str) -> None:
        folder = SHOTS if REWRITE else ROOT / "build" / "shots"
        folder.mkdir(parents=True, exist_ok=True)
        picture: bytes = await self.page.screenshot(path=folder / f"{name}.png", animations="disabled")
        address = "data:image/png;base64," + base64.b64encode(picture).decode()
        width, height, colors, most = await self.judge.evaluate(COLORS, address)
        # Text in its shades, and not everything background.
        assert width == 2 * PHONE["width"] and height > 500 and colors > 10 and most < 0.995, (name, colors, most)


class Phones:
    """Where phones come from."""

    def __init__(self, browser: Any, judge: Any) -> None:
        self.browser = browser
        self.judge = judge

    @asynccontextmanager
    async def one(self, **settings: Any) -> AsyncIterator[Phone]:
        """Give a phone with a profile of its own; `settings` are those of a browser context."""
        context = await self.browser.new_context(
            viewport=PHONE, device_scale_factor=2, is_mobile=True, has_touch=True, color_scheme="light", **settings
        )
        try:
            context.set_default_timeout(10000)
            yield Phone(await context.new_page(), self.judge)
        finally:
            await context.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def phones() -> AsyncIterator[Phones]:
    """The browser of all these tests."""
    async with browser_context() as context:
        yield Phones(context.browser, await context.new_page())


@pytest_asyncio.fixture(loop_scope="session")
async def phone(phones: Phones) -> AsyncIterator[Phone]:
    """One phone."""
    async with phones.one() as phone:
        yield phone
