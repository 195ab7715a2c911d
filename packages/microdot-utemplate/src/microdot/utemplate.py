"""Templates in the language of uTemplate, on every runtime, streamed.

    Template.initialize("templates", autoescape=True)
    return Template("index.html").generate(name="Ann"), {"Content-Type": "text/html"}

The compiler is a module of its own (`_utemplate.py`), loaded when there is a template that is not compiled.
"""

# For the first request: a board loads it now, while its heap is in one piece (docs/design.md, "What is loaded when").
import microdot.outgoing

from .bodies import BodyIterator
from .http import const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from typing import Any


class Safe(str):
    """Text that is HTML already and stays as it is: `{{ Safe(text) }}`, or an argument of a template."""


def _t(value: "Any") -> str:
    """Return what a value is in a page: `str(value)`, with autoescape in a form that has no meaning in HTML or a quoted attribute.

    Args:
        value: anything; what is `Safe` is not changed.
    """
    html = str(value)
    if Template.autoescape and not isinstance(value, Safe):
        for c in "&<>\"'":
            html = html.replace(c, "&#%d;" % ord(c))
    return html


if __debug__:

    def _find(path: str, compiled: str) -> None:
        try:
            __import__(compiled)
        except ImportError as exc:
            # Another name than that of the module or of the folder: the template is there, and what it imports is not.
            if not compiled.startswith(getattr(exc, "name", None) or compiled):
                raise
            from os import getcwd

            raise ImportError("no template: neither a file %s, seen from %s, nor a module %s" % (path, getcwd(), compiled)) from exc


class Loader:
    """Finds templates, and keeps them.

    A file of the folder is compiled when it is first asked for. Where it is not there, the module that
    `python -m microdot.utemplate_compile` made of it is imported: then the folder is to be in a directory of `sys.path`.

    Args:
        _: nothing; loaders of others have a package here.
        name: of the folder.
    """

    def __init__(self, _: object, name: str) -> None:
        self.name = name
        self.items: "dict[str, Callable[..., Iterator[str]]]" = {}

    def load(self, name: str) -> "Callable[..., Iterator[str]]":
        """Return the generator function of a template.

        Args:
            name: the path below the folder.

        Raises:
            ImportError: there is neither such a file nor such a module, or the name leads out of the folder.
            SyntaxError: it is no template; the message has name and line.
            AttributeError: the module was made by a compiler that does not escape, and `autoescape` is on.
        """
        render = self.items.get(name)
        if not render:
            path = self.name + "/" + name
            try:
                open(path).close()
                from ._utemplate import load

                render = load(self.name, name)
            except OSError:
                # With anything as the fourth argument this is the module itself, not the package that it is in.
                compiled = path.replace(".", "_").replace("/", ".")
                if __debug__:  # the compiled files of boards name the module alone
                    _find(path, compiled)
                module = __import__(compiled, None, None, path)
                if Template.autoescape:
                    module._t  # what other compilers have made does not escape
                render = module.render
            self.items[name] = render
        return render


class Template:
    """A template of the folder.

    Args:
        template: its name, as a path below the folder with slashes.

    Raises:
        ImportError, SyntaxError, AttributeError: see `Loader.load()`; loaders of others have their own.
    """

    #: Whether values are escaped for HTML; set it by `initialize()`.
    autoescape: bool
    #: Finds a template by its name and returns its generator function: `load` of the loader.
    load: "Callable[[str], Callable[..., Iterator[str]]]"

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
            AttributeError: `autoescape` with a loader that knows nothing of it.
        """
        loader = loader_class(None, template_dir)
        if autoescape:
            loader.items  # no other loader has that, nor escapes
        # Static, because a plain function would get the template as its first argument.
        Template.load = staticmethod(loader.load)
        Template.autoescape = autoescape

    def __init__(self, template: str) -> None:
        #: The name.
        self.name = template
        #: The generator function; its arguments are those of the template.
        #: Returns a generator of the text in pieces. Arguments are those of the template, in all four.
        self.generate = self.template = self.load(template)

    def render(self, *args: "Any", **kwargs: "Any") -> str:
        """Return the text."""
        return "".join(self.template(*args, **kwargs))

    def generate_async(self, *args: "Any", **kwargs: "Any") -> "AsyncIterator[str]":
        """Return an async iterator of the text in pieces. The call is not awaited."""
        return BodyIterator(self.template(*args, **kwargs), 0)  # type: ignore[return-value]

    async def render_async(self, *args: "Any", **kwargs: "Any") -> str:
        """Return the text."""
        return self.render(*args, **kwargs)


Template.initialize()
