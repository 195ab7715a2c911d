"""Templates by Jinja, rendered or streamed. CPython only.

    return Template("index.html").render(name="Ann"), {"Content-Type": "text/html"}

What Jinja raises passes through: its errors name the template and the line, and the tracebacks that the server prints
show the lines of the template.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import jinja2


class Template:
    """A template of the folder.

    Args:
        template: its name, as a path below the folder with slashes.
        kwargs: for `jinja2.Environment.get_template()`.

    Raises:
        jinja2.TemplateNotFound: there is no such file.
        jinja2.TemplateSyntaxError: it is no template; the message has the line.
    """

    #: The environment of all templates, None until the first one is loaded or `initialize()` is called.
    jinja_env: "jinja2.Environment | None" = None

    @classmethod
    def initialize(cls, template_dir: str = "templates", enable_async: bool = False, **kwargs: Any) -> None:
        """Set the folder and the options of all templates that are loaded from now on.

        Args:
            template_dir: the folder, by default `templates` in the working directory.
            enable_async: whether templates can await, and `generate_async()` and `render_async()` work.
            kwargs: for `jinja2.Environment`. By default values are escaped in templates whose names end with .html, .htm
                or .xml, and templates are files in UTF-8; `autoescape` and `loader` replace that.
        """
        kwargs.setdefault("loader", jinja2.FileSystemLoader(template_dir))
        kwargs.setdefault("autoescape", jinja2.select_autoescape())
        cls.jinja_env = jinja2.Environment(enable_async=enable_async, **kwargs)  # noqa: S701

    def __init__(self, template: str, **kwargs: Any) -> None:
        if self.jinja_env is None:
            self.initialize()
        assert self.jinja_env is not None
        #: The name.
        self.name = template
        #: Jinja's template.
        self.template = self.jinja_env.get_template(template, **kwargs)

    def generate(self, *args: Any, **kwargs: Any) -> Iterator[str]:
        """Return a generator of the text in pieces. Arguments are those of `dict()`: the values of the template.

        With `enable_async` it is for programs without a running loop only, as Jinja has it.
        """
        return self.template.generate(*args, **kwargs)

    def render(self, *args: Any, **kwargs: Any) -> str:
        """Return the text. Arguments are those of `dict()`: the values of the template.

        With `enable_async` it is for plain `def` handlers only: Jinja runs a loop of its own for it.
        """
        return self.template.render(*args, **kwargs)

    def generate_async(self, *args: Any, **kwargs: Any) -> AsyncIterator[str]:
        """Return an async generator of the text in pieces, with `enable_async`. The call is not awaited."""
        return self.template.generate_async(*args, **kwargs)

    async def render_async(self, *args: Any, **kwargs: Any) -> str:
        """Return the text, with `enable_async`."""
        return await self.template.render_async(*args, **kwargs)
