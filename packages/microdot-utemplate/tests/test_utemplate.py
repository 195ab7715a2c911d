"""The language of templates, escaping, errors, streaming, loaders.

Portable: CPython and MicroPython.
"""

import asyncio
import builtins
import os
import sys

from microdot import Microdot, Request
from microdot.test_client import TestClient
from microdot.utemplate import Loader, Safe, Template
from support.checks import raised
from support.loopback import free_port

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HERE = __file__.rsplit("/", 1)[0] if "/" in __file__ else "."
FOLDER = "utemplate_%d" % free_port()  # one that no other run in this directory has


def reset() -> None:
    """Make the settings what they are at first."""
    Template.initialize()


class Folder:
    """A folder of templates in the working directory while the block runs.

    Arguments:
        files: name → content.
        settings: for `Template.initialize()`.
    """

    def __init__(self, files: "dict[str, str]", **settings: "Any") -> None:
        self.files = files
        self.settings = settings

    def __enter__(self) -> "Folder":
        self.clear()
        os.mkdir(FOLDER)
        for name in self.files:
            with open(FOLDER + "/" + name, "wb") as file:
                file.write(self.files[name].encode())
        Template.initialize(FOLDER, **self.settings)
        return self

    def __exit__(self, *exc: object) -> None:
        reset()
        self.clear()

    def clear(self) -> None:
        try:
            names = os.listdir(FOLDER)
        except OSError:
            return
        for name in names:
            try:
                os.remove(FOLDER + "/" + name)
            except OSError:  # __pycache__
                for inner in os.listdir(FOLDER + "/" + name):
                    os.remove(FOLDER + "/" + name + "/" + inner)
                os.rmdir(FOLDER + "/" + name)
        os.rmdir(FOLDER)


def rendered(source: str, *args: "Any", **kwargs: "Any") -> str:
    """Compile and render a text."""
    with Folder({"t.html": source}):
        return Template("t.html").render(*args, **kwargs)


def refused(source: str, **more: str) -> str:
    """Compile what is no template, and return the message."""
    files = {name + ".html": more[name] for name in more}
    files["t.html"] = source
    with Folder(files):
        return str(raised(SyntaxError, Template, "t.html"))


# source, keyword arguments, text
LANGUAGE: "tuple[tuple[str, dict[str, Any], str], ...]" = (
    ("", {}, ""),
    ("text", {}, "text"),
    ("a\n\nb\n", {}, "a\n\nb\n"),
    ("a\r\nb", {}, "a\r\nb"),
    ("100 % {} { } {a} %s %% %} }} #}", {}, "100 % {} { } {a} %s %% %} }} #}"),
    ("\\n ' \" ''' \"\"\" \t \0 é € \U0001f600", {}, "\\n ' \" ''' \"\"\" \t \0 é € \U0001f600"),
    ("{% args a %}\n{{ a }}", {"a": 1}, "1"),
    ("{% args a, b=2, **more %}{{a}}{{ b }}{{ more['c'] }}%", {"a": 1, "c": 3}, "123%"),
    ("\n{# what it is #}\n{% args a %}\n<{{ a }}>", {"a": None}, "\n<None>"),
    ("{{ 'a' + \"b\" }}{{ 1, 2 }}{{ [x * 2 for x in (1, 2)] }}", {}, "ab(1, 2)[2, 4]"),
    ("{{ '%d%%' % 5 }} {{ {'a': 1}['a'] }}", {}, "5% 1"),
    ("a{# b #}c\n{# d\n e #}\nf", {}, "ac\nf"),
    ("{% if 1 %}a{% endif %}b\n", {}, "ab\n"),
    ("{% args x %}{% if x == 1 %}a{% elif x == 2 %}b{% elif x == 3 %}c{% else %}d{% endif %}e", {"x": 1}, "ae"),
    ("{% args x %}{% if x == 1 %}a{% elif x == 2 %}b{% elif x == 3 %}c{% else %}d{% endif %}e", {"x": 2}, "be"),
    ("{% args x %}{% if x == 1 %}a{% elif x == 2 %}b{% elif x == 3 %}c{% else %}d{% endif %}e", {"x": 3}, "ce"),
    ("{% args x %}{% if x == 1 %}a{% elif x == 2 %}b{% elif x == 3 %}c{% else %}d{% endif %}e", {"x": 4}, "de"),
    ("{% if 0 %}{% elif 0 %}{% else %}{% endif %}", {}, ""),
    ("{% if 1 %}{% if 0 %}a{% else %}b{% endif %}{% elif 1 %}c{% endif %}", {}, "b"),
    ("{% for i in range(3) %}\n{{ i }},\n{% endfor %}\n.", {}, "0,\n1,\n2,\n."),
    ("{% for i in range(2) %}{% for j in 'ab' %}{{ i }}{{ j }} {% endfor %}{% endfor %}", {}, "0a 0b 1a 1b "),
    ("{% for i in () %}a{% else %}b{% endfor %}", {}, "b"),
    ("{% set i = 0 %}{% while i < 3 %}{{ i }}{% set i += 1 %}{% endwhile %}", {}, "012"),
    ("{% for i in range(9) %}{% if i == 3 %}{% break %}{% endif %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% endfor %}", {}, "02"),
    ("{% import sys %}{% set a, b = 1, 2 %}{% b += a %}{{ b }}{% if sys %}!{% endif %}", {}, "3!"),
    ("{% with open('" + FOLDER + "/t.html') as file %}{{ len(file.read(3)) }}{% endwith %}", {}, "3"),
    ("{% yield from 'abc' %}{{ [\n1,\n2] }}{% set x = (\n3) %}{{ x }}", {}, "abc[1, 2]3"),
    ("{% args text, render %}{{ text }}{{ render }}{{ Safe('<') }}", {"text": "a", "render": "b"}, "ab<"),
    ("{{ '<&>' }}", {}, "<&>"),
    ("x" * 1000 + "\n" + "{{ 1 }}" * 50 + "\n" + "yz\n" * 300, {}, "x" * 1000 + "\n" + "1" * 50 + "\n" + "yz\n" * 300),
)


def test_language() -> None:
    for source, arguments, expected in LANGUAGE:
        got = rendered(source, **arguments)
        assert got == expected, (source, got)


def test_existing_program() -> None:
    """Contract 15.1."""
    Template.initialize(HERE + "/templates")
    template = Template("hello.utemplate.txt")
    assert template.name == "hello.utemplate.txt"
    assert "".join(template.template("foo")) == "Hello, foo!\n"
    assert template.render(name="foo") == "Hello, foo!\n"
    assert "".join(template.generate("foo")) == "Hello, foo!\n"
    reset()


async def test_async() -> None:
    Template.initialize(HERE + "/templates")
    template = Template("hello.utemplate.txt")
    assert await template.render_async("foo") == "Hello, foo!\n"
    pieces = ""
    async for piece in template.generate_async(name="foo"):
        assert type(piece) is str
        pieces += piece
    assert pieces == "Hello, foo!\n"
    reset()


def test_defaults() -> None:
    """Without initialize(), the folder is `templates` in the working directory."""
    here = os.getcwd()
    os.chdir(HERE)
    try:
        assert Template("hello.utemplate.txt").render("you") == "Hello, you!\n"
        assert isinstance(Template("hello.utemplate.txt"), Template)
    finally:
        os.chdir(here)
        reset()


INCLUDES = {
    "outer.html": "{% args items %}\n{% include 'head.html' %}\n{% for item in items %}\n{% include \"row.html\" item, n=2 %}\n"
    "{% endfor %}\n{% include {{ 'fo' + 'ot.html' }} len(items) %}\n",
    "head.html": "<h1>{{ len(items) }} items</h1>\n",
    "row.html": "{% args what, n %}\n{% if what %}\n<p>{{ what }}{% include 'star.html' %}</p>\n{% endif %}\n",
    "star.html": "{% for i in range(n) %}*{% endfor %}",
    "foot.html": "{% args n %}\n{{ n }}.\n",
    "tree.html": "{% args node %}\n({% for child in node %}{% include {{ 'tree.html' }} child %}{% endfor %})",
}


def test_include() -> None:
    """Those with a name in quotes see the variables around them; those with an expression get arguments only."""
    with Folder(INCLUDES):
        assert Template("outer.html").render(["a", "", "b"]) == "<h1>3 items</h1>\n<p>a**</p>\n<p>b**</p>\n3.\n"
        assert Template("tree.html").render([[], [[]]]) == "(()(()))"


HOSTILE = "<script>alert(\"1\" & '2')</script>"
ESCAPED = "&#60;script&#62;alert(&#34;1&#34; &#38; &#39;2&#39;)&#60;/script&#62;"


def test_escaping() -> None:
    files = {"t.html": "{% args v %}<p title='{{ v }}'>{{ v }}</p>{{ Safe(v) }}{% include 'i.html' %}", "i.html": "<{{ v }}>"}
    with Folder(files, autoescape=True):
        render = Template("t.html").render
        assert render(HOSTILE) == "<p title='" + ESCAPED + "'>" + ESCAPED + "</p>" + HOSTILE + "<" + ESCAPED + ">"
        assert render(Safe("<b>")) == "<p title='<b>'><b></p><b><<b>>"
        assert render("&amp;")[10:19] == "&#38;amp;"
    with Folder({"t.html": "{% args v %}{{ v }}"}, autoescape=True):
        render = Template("t.html").render
        for value, expected in ((1, "1"), (None, "None"), (["<"], "[&#39;&#60;&#39;]"), ("é", "é")):
            assert render(value) == expected
    with Folder({"t.html": "{% args v %}{{ v }}"}):
        assert Template("t.html").render(HOSTILE) == HOSTILE


# source, what the message begins with
MALFORMED = (
    ("a\n{{ 1 + }}", "t.html:2: wrong or misplaced: 1 +"),
    ("a\n{{ }}", "t.html:2: wrong or misplaced: "),
    ("\n\n{{ a\n\n", "t.html:3: no }}"),
    ("\n{% if 1 ", "t.html:2: no %}"),
    ("{# a", "t.html:1: no #}"),
    ("{{ a b }}", "t.html:1: wrong or misplaced: a b"),
    ("a\n{% if %}b{% endif %}", "t.html:2: wrong or misplaced: if"),
    ("a\n{% %}", "t.html:2: wrong or misplaced: "),
    ("a\n{% fro i in x %}", "t.html:2: wrong or misplaced: fro i in x"),
    ("{% if 1 %}\n{% for i in x %}\n{% endif %}", "t.html:3: wrong or misplaced: endif"),
    ("a\n{% else %}", "t.html:2: wrong or misplaced: else"),
    ("{% for i in x %}{% elif 1 %}{% endfor %}", "t.html:1: wrong or misplaced: elif 1"),
    ("{% with x %}\n{% else %}{% endwith %}", "t.html:2: wrong or misplaced: else"),
    ("{% if 1 %}{% else %}\n{% else %}{% endif %}", "t.html:2: wrong or misplaced: else"),
    ("{% if 1 %}{% else %}\n{% elif 1 %}{% endif %}", "t.html:2: wrong or misplaced: elif 1"),
    ("{% if 1 %}\n{% elif %}{% endif %}", "t.html:2: wrong or misplaced: elif"),
    ("{% if 1 %}\n{% else 1 %}{% endif %}", "t.html:2: wrong or misplaced: else 1"),
    ("a\n{% endfor %}", "t.html:2: wrong or misplaced: endfor"),
    ("a\n{% end %}", "t.html:2: wrong or misplaced: end"),
    ("a\n{% if 1 %}\nb\n", "t.html:2: no endif"),
    ("a\n{% args b %}", "t.html:2: wrong or misplaced: args b"),
    ("{% args 1 %}", "t.html:1: wrong or misplaced: args 1"),
    ("{% args a, a %}", "t.html:1: wrong or misplaced: args a, a"),
    ("{% set x = %}", "t.html:1: wrong or misplaced: set x ="),
    ("{% set x = 1\ny = 2 %}", "t.html:1: wrong or misplaced: set x = 1\ny = 2"),
    ("{% set x = \\ %}", "t.html:1: wrong or misplaced: set x = \\"),
    ("\n{% break %}", "t.html:2: wrong or misplaced: break"),
    ("{% for i in x %}{% endfor %}\n{% break %}", "t.html:2: wrong or misplaced: break"),
    ("{% class A %}a{% endclass %}", "t.html:1: wrong or misplaced: class A"),
    ("\n{% include %}", "t.html:2: wrong or misplaced: include"),
    ("\n{% include a.html %}", "t.html:2: wrong or misplaced: include a.html"),
    ("\n{% include 'a.html %}", "t.html:2: wrong or misplaced: include 'a.html"),
    ("\n{% include {{ 'a.html' %}", "t.html:2: wrong or misplaced: include {{ 'a.html'"),
    ("\n{% include 'a.html' %}", "t.html:2: no file a.html"),
    ("\n{% include '' %}", "t.html:2: no file "),
    ("\n{% include 't.html' %}", "t.html:2: t.html includes itself"),
    ("{{ [\n1] }}\n{{ 1 + }}", "t.html:3: wrong or misplaced: 1 +"),
)


def test_malformed() -> None:
    for source, expected in MALFORMED:
        assert refused(source) == expected, (source, refused(source))
    assert refused("{% include 'a.html' %}", a="\n{% if %}") == "a.html:2: wrong or misplaced: if"
    assert refused("{% include 'a.html' %}", a="\n{% include 't.html' %}") == "a.html:2: t.html includes itself"


# source, line of the error
FAILING = (
    ("a\nb {{ 1 }}\n{{ 1 // nothing }}\nc {{ 2 }}", 3),
    ("\n{% set x = 1 // nothing %}", 2),
    ("{% if 0 %}\n{% elif 0 %}\n{% elif 1 // nothing %}\n{% endif %}", 3),
    ("\n{% for i in range(1 // nothing) %}{% endfor %}", 2),
    ("{% for i in (1 // (1 - i) for i in range(3)) %}\n{{ i }}\n{% if i %}\n{{ 3 }}\n{% endif %}\n{% endfor %}", 1),
    ("{% set i = 1 %}\n{% while 1 // i %}\n{% set i -= 1 %}\n\n{% endwhile %}", 2),
    ("{% if 1 %}\n{% endif %}\n{{ [1,\n2,\n1 // nothing] }}", 3),
    ("\n{{ 1 // nothing }}", 2),
)


def test_failing() -> None:
    """What goes wrong while a template is rendered names it, and its line; the exception is the one that it was."""
    lines: "list[str]" = []
    real = builtins.print
    for source, line in FAILING:
        with Folder({"t.html": "{% args nothing %}" + source, "o.html": "\n\n{% include 't.html' 0 %}"}):
            for name, expected in (("t.html", ["t.html:%d:" % line]), ("o.html", ["t.html:%d:" % line, "o.html:3:"])):
                template = Template(name)
                lines[:] = []
                builtins.print = lines.append  # type: ignore[assignment]
                try:
                    raised(ZeroDivisionError, template.render, *((0,) if name == "t.html" else ()))
                finally:
                    builtins.print = real
                assert [text.split(" ")[0] for text in lines] == expected, (source, lines)


def test_loader_keeps_templates() -> None:
    with Folder({"t.html": "one"}):
        assert Template("t.html").template is Template("t.html").template
        assert Template("t.html").render() == "one"


def test_missing() -> None:
    with Folder({"t.html": "one"}):
        raised(ImportError, Template, "../" + FOLDER + "/t.html")  # leads out, if only to come back
        error = raised(ImportError, Template, "absent.html")
        assert "absent_html" in str(error) or FOLDER in str(error)


def test_compiled() -> None:
    """Modules made by a compiler are used where there is no source; those of other compilers only without escaping."""
    ours = "from microdot.utemplate import _t\ndef render(a):\n yield 'ours ' + _t(a)\n"
    theirs = "# Autogenerated file\ndef render(a):\n    yield 'theirs '\n    yield str(a)\n"
    sys.path.insert(0, os.getcwd())
    try:
        with Folder({"one_html.py": ours, "two_html.py": theirs, "three.html": "source", "three_html.py": theirs}):
            assert Template("one.html").render("<") == "ours <"
            assert Template("two.html").render("<") == "theirs <"
            assert Template("three.html").render() == "source"
            Template.initialize(FOLDER, autoescape=True)
            assert Template("one.html").render("<") == "ours &#60;"
            assert "_t" in str(raised(AttributeError, Template, "two.html"))
    finally:
        sys.path.pop(0)
        for name in "one", "two", "three":
            sys.modules.pop(FOLDER + "." + name + "_html", None)
        sys.modules.pop(FOLDER, None)


def test_compiling_runs_nothing() -> None:
    lines: "list[Any]" = []
    real = builtins.print
    source = "{% args a=print(1) %}{{ print(2) }}{% if print(3) %}{% set x = print(4) %}{% endif %}{% include {{ print(5) }} print(6) %}"
    builtins.print = lines.append  # type: ignore[assignment]
    try:
        with Folder({"t.html": source}):
            Template("t.html")
    finally:
        builtins.print = real
    assert lines == [1]  # a default value, when the function is made


class OtherLoader:
    """As those of the package utemplate are called."""

    def __init__(self, pkg: "str | None", dir: str) -> None:
        self.made = (pkg, dir)

    def load(self, name: str) -> "Any":
        def render(*args: "Any") -> "Any":
            yield name + str(self.made)
            yield str(args)

        return render


def test_loader_of_others() -> None:
    try:
        Template.initialize("folder", OtherLoader)
        assert Template("a.tpl").render(1, 2) == "a.tpl(None, 'folder')(1, 2)"
        raised(AttributeError, Template.initialize, "folder", OtherLoader, True)
        assert not Template.autoescape
        Template.initialize("folder", loader_class=OtherLoader)
    finally:
        reset()


class WritingLoader:
    """As those that write a module next to the template, and import that (contract 15.1)."""

    def __init__(self, pkg: "str | None", dir: str) -> None:
        self.dir = dir

    def load(self, name: str) -> "Any":
        module = name.replace(".", "_")
        with open(self.dir + "/" + name) as source, open(self.dir + "/" + module + ".py", "w") as file:
            file.write("def render(*args):\n    yield %r %% args\n" % source.read())
        return __import__(self.dir + "." + module, None, None, ("render",)).render


def test_loaders_that_write_modules() -> None:
    sys.path.insert(0, os.getcwd())
    try:
        with Folder({"w.html": "<%s>", "v.html": "[%s]"}):
            for _ in range(2):
                Template.initialize(FOLDER, WritingLoader)
                assert Template("w.html").render("a") == "<a>"
                assert "".join(Template("v.html").generate("&")) == "[&]"
    finally:
        sys.path.pop(0)
        for name in "w", "v":
            sys.modules.pop(FOLDER + "." + name + "_html", None)
        sys.modules.pop(FOLDER, None)


async def test_responses() -> None:
    app = Microdot()
    Template.initialize(HERE + "/templates", autoescape=True)
    template = Template("hello.utemplate.txt")

    @app.get("/render")
    def render(request: Request) -> str:
        return template.render("<foo>")

    @app.get("/generate")
    async def generate(request: Request) -> "Any":
        return template.generate("<foo>"), 200, {"Content-Type": "text/html"}

    @app.get("/render_async")
    async def render_async(request: Request) -> str:
        return await template.render_async("<foo>")

    @app.get("/generate_async")
    async def generate_async(request: Request) -> "Any":
        return template.generate_async("<foo>")

    client = TestClient(app)
    for path in "/render", "/generate", "/render_async", "/generate_async":
        response = await client.get(path)
        assert (response.status_code, response.body) == (200, b"Hello, &#60;foo&#62;!\n"), path
    reset()


async def test_closed_early() -> None:
    """When a client goes in the middle, what a template has open is closed."""
    events: "list[str]" = []

    class Resource:
        def __enter__(self) -> "Resource":
            events.append("open")
            return self

        def __exit__(self, *exc: object) -> None:
            events.append("closed")

    with Folder({"t.html": "{% args r %}{% with r %}{% for i in range(9) %}{{ i }}{% endfor %}{% endwith %}"}):
        pieces = Template("t.html").generate_async(Resource())
        assert await pieces.__anext__() == "0"
        assert events == ["open"]
        await pieces.aclose()  # type: ignore[attr-defined]
        assert events == ["open", "closed"]
    await asyncio.sleep(0)
