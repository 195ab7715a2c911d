"""microdot-utemplate: whatever is in a file, it is a template or refused with name and line; what is one does as Python does. CPython only."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from microdot.utemplate import Safe, Template

QUICK = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    Template.initialize()


def made(folder: Path, source: str, autoescape: bool = False, **more: str) -> Template:
    for name, text in {"t": source, **more}.items():
        (folder / f"{name}.html").write_bytes(text.encode())
    Template.initialize(str(folder), autoescape=autoescape)
    return Template("t.html")


# Texts in which tags, quotes, line ends and Python are likely.
PIECES = st.sampled_from(
    [
        "{{", "}}", "{%", "%}", "{#", "#}", "{", "}", "%", "%s", "%%", "\\", "'", '"', "'''", "\n", "\r\n", "\r", "\t", " ", "\0", "é", "\u2028",
        "if", "elif", "else", "endif", "for", "endfor", "while", "end", "args", "set", "include", "with", "class", "def", "enddef", "lambda",
        "break", "return", "yield", "try", "except", "import", "pass", "global", "await", "async", "not", "in", "is", ":", "=", ":=", ",",
        "(", ")", "[", "]", "*", "**", "#", ";", "_n", "_t", "_i", "_T", "x", "y", "0", "1", "'u.html'", "'t.html'", "{{ 'u.html' }}",
        "{% if x %}", "{% else %}", "{% elif y %}", "{% endif %}", "{% for x in y %}", "{% endfor %}", "{% args x, y %}", "{{ x }}", "{{ y }}",
    ]
)  # fmt: skip
SOURCES = st.lists(PIECES | st.text(max_size=5), max_size=25).map("".join)


@QUICK
@given(SOURCES)
def test_any_file_is_a_template_or_refused_with_its_line(tmp_path: Path, source: str) -> None:
    try:
        source.encode()
    except UnicodeEncodeError:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "is" with a literal, invalid escape sequences
        try:
            template = made(tmp_path, source, u="{{ x }}")
        except SyntaxError as error:
            found = re.match(r"(?s)(t|u)\.html:(\d+): .", str(error))
            assert found, (source, error)
            assert 1 <= int(found[2]) <= source.count("\n") + 2
            return
    assert callable(template.template)


@QUICK
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_text_stays_as_it_is(tmp_path: Path, text: str) -> None:
    for mark in "{{", "{%", "{#":
        text = text.replace(mark, "{")
    assert made(tmp_path, text).render() == text


@QUICK
@given(st.text(st.characters(exclude_categories=["Cs"])), st.booleans())
def test_values_cannot_become_html(tmp_path: Path, value: str, quoted: bool) -> None:
    template = made(tmp_path, "{% args v %}[{{ v }}]{{ Safe(v) }}", autoescape=True)
    html = template.render(v=value)
    before, after = html[: len(html) - len(value)], html[len(html) - len(value) :]
    assert after == value and not set(before) & set("<>\"'")
    back = re.sub(r"&#(\d+);", lambda found: chr(int(found[1])), before)
    assert back == f"[{value}]"
    assert template.render(v=Safe(value)).startswith(f"[{value}]")


# Templates by a grammar, each with what Python makes of the same statements -----------------------------------------

TEXTS = st.sampled_from(["a", "<b>", "100 %", "%s", "{ ", "} ", "'", "\\n", "é", "{ { ", " "])


def _indent(lines: list[str]) -> list[str]:
    return ["    " + line for line in lines] or ["    pass"]


@st.composite
def blocks(draw: Any, depth: int = 3, loop: bool = False) -> tuple[str, list[str]]:
    """Return a piece of a template, and the lines of Python that do the same."""
    template, lines = "", []
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from(["text", "value", "comment", "set", "break"] + ["if", "for", "while", "with"] * (depth > 0)))
        end = draw(st.sampled_from(["", "\n"]))
        if kind == "text":
            text = draw(TEXTS) + end
            template += text
            lines.append(f"out({text!r})")
        elif kind == "value":
            value = draw(st.sampled_from(["x", "x + 1", "'%s%%' % x", "[x, {1: 2}]", "(x,\n2)", "x if x else 'no'"]))
            template += "{{ %s }}%s" % (value, end)
            lines.append(f"out(str({value.replace(chr(10), ' ')}) + {end!r})")
        elif kind == "comment":
            template += "{# %s \n#}" % draw(TEXTS) + end
        elif kind == "set":
            code = draw(st.sampled_from(["x += 1", "x = 5", "x, z = 2, 3", "x = max(x,\n 3)"]))
            template += draw(st.sampled_from(["{%% set %s %%}", "{%%%s%%}"])) % code + end
            lines.append(code)
        elif kind == "break":
            if loop:
                word = draw(st.sampled_from(["break", "continue"]))
                template += "{% if x > 3 %}{% " + word + " %}{% endif %}" + end
                lines += ["if x > 3:", "    " + word]
        elif kind == "with":
            inner, inside = draw(blocks(depth - 1, loop))
            template += "{% with nothing() as w %}" + end + inner + "{% endwith %}" + end
            lines += ["with nothing() as w:", *_indent(inside)]
        elif kind == "if":
            heads = ["if x % 2", *["elif x % 3"] * draw(st.integers(0, 2)), *["else"] * draw(st.integers(0, 1))]
            for n, head in enumerate(heads):
                inner, inside = draw(blocks(depth - 1, loop))
                template += "{% " + head + " %}" + (end if n else "") + inner
                lines += [head + ":", *_indent(inside)]
            template += "{% endif %}" + end
        else:
            head = "for y in range(3)" if kind == "for" else "while x < 6"
            inner, inside = draw(blocks(depth - 1, True))
            more = "" if kind == "for" else "{% set x += 1 %}"
            template += "{% " + head + " %}" + more + end + inner
            lines += [head + ":", *_indent(["x += 1"] * (kind == "while") + inside)]
            if draw(st.booleans()):
                inner, inside = draw(blocks(depth - 1, loop))
                template += "{% else %}" + inner
                lines += ["else:", *_indent(inside)]
            template += "{% end" + kind + " %}" + end
    return template, lines


class Endless(Exception):
    """Raised by whatever goes on for ever: `x = 5` in a loop until six."""


@QUICK
@given(blocks())
def test_a_template_does_what_python_does(tmp_path: Path, block: tuple[str, list[str]]) -> None:
    source, lines = block
    out: list[str] = []

    def write(text: str) -> None:
        if len(out) > 500:
            raise Endless
        out.append(text)

    names: dict[str, Any] = {"out": write, "nothing": contextlib.nullcontext, "steps": iter(range(2000))}
    # Loops are counted, because some have no end.
    counted = []
    for line in lines:
        counted.append(line)
        if line.lstrip().startswith("while"):
            counted.append(re.sub(r"\S.*", "    next(steps)", line))
    try:
        exec("def run(x):\n" + "\n".join(_indent(counted)), names)
        names["run"](1)
    except (Endless, StopIteration):
        return
    text = "{% args x, nothing %}" + source
    assert made(tmp_path, text).render(1, contextlib.nullcontext) == "".join(out), text
    # Included, it is the same, also where the outer template is within blocks.
    outer = "{% args x, nothing %}{% if 1 %}{% for q in (1,) %}{% include 'u.html' x, nothing %}{% endfor %}{% endif %}"
    assert made(tmp_path, outer, u=text).render(1, contextlib.nullcontext) == "".join(out), text


LINES = ["text\n", "{{ x }}\n", "{# a\nb #}\n", "{% set y = 1 %}\n", "{% if 1 %}\n{% endif %}\n", "{% for i in 'ab' %}\n\n{% endfor %}\n"]
FAILING = (
    "{{ 1 // (x - x) }}",
    "{% if 1 // 0 %}{% endif %}",
    "{% for i in 5 %}{% endfor %}",
    "{% if 0 %}{% elif 1 // 0 %}{% endif %}",
)


@QUICK
@given(st.lists(st.sampled_from(LINES)))
def test_an_error_has_its_line(tmp_path: Path, lines: list[str]) -> None:
    before = "".join(lines)
    line = before.count("\n") + 1
    for failing in FAILING:
        template = made(tmp_path, "{% args x %}" + before + failing)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), pytest.raises((ZeroDivisionError, TypeError)):
            template.render(1)
        assert printed.getvalue().startswith(f"t.html:{line}: "), (before + failing, printed.getvalue())
