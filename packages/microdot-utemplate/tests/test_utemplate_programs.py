"""Programs with templates as users of Microdot have them run as they are (contract 25): a form, pages with a common head, streaming.

Portable: CPython and MicroPython.
"""

import os

from microdot import Response
from microdot.test_client import TestClient
from microdot.utemplate import Template

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HERE = __file__.rsplit("/", 1)[0] if "/" in __file__ else "."


async def answers(program: str, requests: "tuple[tuple[str, str], ...]") -> "list[str]":
    """Run a program in its directory and return what it answers.

    Arguments:
        program: its name.
        requests: path and value of the field `name` of a form, which is posted unless empty.
    """
    directory = os.getcwd()
    content_type = Response.default_content_type
    os.chdir(HERE + "/programs")
    names: "dict[str, Any]" = {"__name__": program}
    Template.initialize()
    try:
        with open(program + ".py") as source:
            exec(source.read(), names)
        client = TestClient(names["app"])
        texts = []
        for path, name in requests:
            if name:
                form = {"Content-Type": "application/x-www-form-urlencoded"}
                response = await client.post(path, headers=form, body="name=" + name)
            else:
                response = await client.get(path)
            assert response.status_code == 200
            assert response.headers["Content-Type"].startswith("text/html")
            assert response.body is not None
            texts.append(response.body.decode())
        return texts
    finally:
        Response.default_content_type = content_type
        os.chdir(directory)
        Template.initialize()


PAGE = """<!doctype html>
<html>
  <body>
    %s    <form method="POST"><input type="text" name="name"> <input type="submit"></form>
  </body>
</html>
"""


async def test_form() -> None:
    for program in "hello", "streaming":
        asked, greeted = await answers(program, (("/", ""), ("/", "Ann")))
        # What stands before a tag on its line is text, and stays.
        assert asked == PAGE % "    <p>Who are you?</p>\n    ", asked
        assert greeted == PAGE % "    <p>Hello, Ann!</p>\n    ", greeted


async def test_common_head() -> None:
    one, two = await answers("pages", (("/", ""), ("/page2", "")))
    head = "<!doctype html>\n<html>\n<title>%s</title>\n<nav>%s</nav>\n"
    assert one == head % ("Page 1", "Page 1") + "<p>This is Page 1.</p>\n</html>\n"
    assert two == head % ("Page 2", '<a href="/">Page 1</a>') + "<p>Now comes Page 2.</p>\n</html>\n"
