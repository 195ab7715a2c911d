"""Templates in the language of uTemplate, on every runtime, streamed.

    Template.initialize("templates", autoescape=True)
    return Template("index.html").generate(name="Ann"), {"Content-Type": "text/html"}

The compiler is a module of its own (`_utemplate.py`), loaded when there is a template that is not compiled.
"""

import os

from .http import const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from typing import Any, Protocol

    class _Loads(Protocol):
        def load(self, name: str) -> Callable[..., Iterator[str]]: ...


class Safe(str):
    """Text that is HTML already and stays as it is: `{{ Safe(text) }}`, or an argument of a template."""

    def __html__(self) -> str:
        return str(self)


def text(value: "Any") -> str:
    """Return what a value is in a page: `str(value)`, with autoescape in a form that has no meaning in HTML or a quoted attribute.

    Args:
        value: anything. What has a method `__html__`, as `Safe` and the markup of other libraries, is asked for its HTML.
    """
    if not Template.autoescape:
        return str(value)
    if hasattr(value, "__html__"):
        return value.__html__()  # type: ignore[no-any-return]
    value = str(value)
    for c in "&<>\"'":
        value = value.replace(c, "&#%d;" % ord(c))
    return value  # type: ignore[no-any-return]


class Loader:
    """Finds templates, and keeps them.

    A file of the folder is compiled when it is first asked for. Where it is not there, the module that
    `python -m microdot.utemplate_compile` made of it is imported: then the folder is to be in a directory of `sys.path`.

    Args:
        pkg: nothing; loaders of others have it.
        dir: the folder.
    """

    def __init__(self, pkg: "str | None", dir: str) -> None:
        self._dir = dir
        self._kept: "dict[str, Any]" = {}

    def load(self, name: str) -> "Callable[..., Iterator[str]]":
        """Return the generator function of a template.

        Args:
            name: the path below the folder.

        Raises:
            ImportError: there is neither such a file nor such a module.
            SyntaxError: it is no template; the message has name and line.
            ValueError: the name leads out of the folder, or the module was made by a compiler that does not escape.
        """
        if name not in self._kept:
            path = self._dir + "/" + name
            if ".." in name:
                raise ValueError(path)
            try:
                os.stat(path)
            except OSError:
                path = (self._dir + "/" + name.replace(".", "_")).replace("/", ".").lstrip(".")
                module = __import__(path, None, None, ("render",))
                if Template.autoescape and not hasattr(module, "_t"):
                    raise ValueError(path + " cannot escape")
                self._kept[name] = module.render
            else:
                from ._utemplate import load

                self._kept[name] = load(self._dir, name)
        return self._kept[name]  # type: ignore[no-any-return]


class Pieces:
    """The pieces of a text, as an async iterator: async generators are not there on boards."""

    def __init__(self, pieces: "Any") -> None:
        self._pieces = pieces

    def __aiter__(self) -> "Pieces":
        return self

    async def __anext__(self) -> str:
        for piece in self._pieces:
            return piece  # type: ignore[no-any-return]
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the template where it is: what it has open is closed."""
        self._pieces.close()


class Template:
    """A template of the folder.

    Args:
        template: its name, as a path below the folder with slashes.

    Raises:
        ImportError, SyntaxError, ValueError: see `Loader.load()`; loaders of others have their own.
    """

    #: Whether values are escaped for HTML; set it by `initialize()`.
    autoescape = False
    #: What finds the templates, None until the first one is loaded or `initialize()` is called.
    loader: "_Loads | None" = None

    @staticmethod
    def initialize(template_dir: str = "templates", loader_class: "Any" = Loader, autoescape: bool = False) -> None:
        """Set the folder and the options of all templates of the program.

        Args:
            template_dir: the folder.
            loader_class: called as `loader_class(None, template_dir)`; by default `Loader`. The loaders of the package utemplate
                work too, without escaping.
            autoescape: whether to escape values for HTML, so that text from outside stays text. Off by default, because
                existing templates are written for that; `Safe` marks what is HTML.

        Raises:
            ValueError: `autoescape` with a loader that knows nothing of it.
        """
        if autoescape and loader_class is not Loader:
            raise ValueError("autoescape: needs Loader")
        Template.loader = loader_class(None, template_dir)
        Template.autoescape = autoescape

    def __init__(self, template: str) -> None:
        if not Template.loader:
            self.initialize()
        #: The name.
        self.name = template
        #: The generator function; its arguments are those of the template.
        self.template: "Callable[..., Iterator[str]]" = Template.loader.load(template)  # type: ignore[union-attr]

    def generate(self, *args: "Any", **kwargs: "Any") -> "Iterator[str]":
        """Return a generator of the text in pieces. Arguments are those of the template, in all four."""
        return self.template(*args, **kwargs)

    def render(self, *args: "Any", **kwargs: "Any") -> str:
        """Return the text."""
        return "".join(self.template(*args, **kwargs))

    def generate_async(self, *args: "Any", **kwargs: "Any") -> "AsyncIterator[str]":
        """Return an async iterator of the text in pieces. The call is not awaited."""
        return Pieces(self.template(*args, **kwargs))

    async def render_async(self, *args: "Any", **kwargs: "Any") -> str:
        """Return the text."""
        return self.render(*args, **kwargs)
