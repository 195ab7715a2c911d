"""What a package needs with its first request is loaded when it is set up: docs/design.md, "What is loaded when".

The programs of tools/cost.py, in a heap that would be ample if it were in one piece: before its first request each has made a
hundred readings, with garbage between them, as programs do that measure something.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import cost
import size
from upy import board_tree

READINGS = """
import gc
readings = [None] * 100
def measure():
    for i in range(4000):
        text = str(i) + 'garbage'
        if i % 7 == 0:
            readings[i // 7 % 100] = (i, text)
gc.collect()
measure()
"""


@pytest.fixture(scope="module")
def library() -> Path:
    return board_tree()


# Loaded with the first request, what it needs finds no place in any of these heaps.
@pytest.mark.parametrize(("feature", "heap"), [("auth", 58_000), ("sse", 58_000), ("static", 64_000)])
def test_a_heap_in_pieces(feature: str, heap: int, library: Path, micropython32: Path) -> None:
    program = cost.program_of([feature]).replace("app.run(", READINGS + "app.run(", 1)
    scales = cost.Gauge(str(micropython32)).scales(library)
    with scales.serve(program, heap) as server:
        size.disturb(server)
        for head, body, part in cost.FEATURES[feature].requests:
            cost._ask(server, head, body.encode(), part)


def test_setting_up_loads_nothing_for_existing_programs(library: Path, micropython32: Path) -> None:
    gauge = cost.Gauge(str(micropython32))
    _, ready, _ = gauge.held(library, cost.program_of(["cors"]), size.disturb)
    assert "microdot.cors" in ready and "microdot.compat" not in ready
