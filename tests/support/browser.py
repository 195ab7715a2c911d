"""A headless Chromium for tests, which talks to 127.0.0.1 alone (CPython only)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from provide import Missing, provide


@asynccontextmanager
async def browser_context(timeout: int = 10000, arguments: Sequence[str] = ()) -> AsyncIterator[Any]:
    """Give a profile of its own. Without a browser the test is skipped, and with CI=true that is a failure.

    Args:
        timeout: of each step, in milliseconds.
        arguments: more of its command line.
    """
    playwright = pytest.importorskip("playwright.async_api", reason="pip install playwright")
    try:
        chromium = provide("chromium")
    except Missing as error:
        pytest.skip(str(error))
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(
            executable_path=str(chromium),
            args=["--no-sandbox", "--host-resolver-rules=MAP * 127.0.0.1", "--disable-background-networking", *arguments],
        )
        try:
            context = await browser.new_context()
            context.set_default_timeout(timeout)
            yield context
        finally:
            await browser.close()


@asynccontextmanager
async def browser_page() -> AsyncIterator[Any]:
    """Give a page in a profile of its own."""
    async with browser_context(15000) as context:
        yield await context.new_page()
