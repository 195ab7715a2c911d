"""The compiler of templates: it makes a Python generator function of a file.

Of `{% args name %}` and `Hello, {{ name }}!` it makes

    from microdot.utemplate import Safe, Template as _T, _t
    def render(name):
     try:
      _n = 1
      pass
      _n = 2
      yield 'Hello, %s!' % (_t((name)),)
     except Exception as _e: print('%s:%d: %r' % ('hello.txt', _n, _e)); raise; yield

`_n` is the line of the template, for the message about an error while it is rendered: compiled modules have no line numbers
of their own. Text and values are put together, line by line: fewer and larger pieces cost less to send.

Every expression and statement is compiled by itself first, to know the line of the one that is malformed.
"""

import io

from .http import const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

_PIECE = const(256)


class Compiler:
    """Compiles one file, and those that it includes.

    Args:
        dir: where the files are.
        name: of the template.
        write: called with pieces of the source.
        indent: of an included one.
        names: of the templates that include it.

    Raises:
        OSError: there is no such file.
        SyntaxError: the message has template and line.
    """

    line = 0
    args: "str | None" = ""  # the parameters; None when the function has begun
    text = ""  # what is to come out next, as a format string
    values = ""  # and the expressions for it

    def __init__(
        self, dir: str, name: str, write: "Callable[[str], Any]", indent: int = 0, names: "tuple[str, ...]" = ()
    ) -> None:
        self.dir = dir
        self.name = name
        self.write = write
        self.indent = indent
        self.names = names + (name,)
        # Of open blocks: word, what makes `else` complete, indent, indent of the last elif, line.
        self.stack: "list[list[Any]]" = []
        if not indent:
            write("from microdot.utemplate import Safe, Template as _T, _t\n")
        # Bytes, because text files are in the encoding of the system elsewhere.
        with open(dir + "/" + name, "rb") as file:
            self.read(file)
        self.flush()
        if self.stack:
            self.line = self.stack[-1][4]
            self.fail("no end" + self.stack[-1][0])
        self.indent -= 1
        # The yield makes a generator of a template without text.
        self.put("except Exception as _e: print('%%s:%%d: %%r' %% (%r, _n, _e)); raise; yield" % name)

    def fail(self, what: str) -> None:
        """Raise the SyntaxError that says where."""
        raise SyntaxError("%s:%d: %s" % (self.name, self.line, what))

    def put(self, code: str) -> None:
        """Write a line of the module."""
        self.write(" " * self.indent + code + "\n")

    def at(self, line: int, code: str = "pass") -> None:
        """Write a line of the module that belongs to a line of the template, which an error is to name."""
        self.put("_n = %d" % line)
        self.put(code)

    def ok(self, code: str) -> bool:
        """Tell whether this is a line of Python, here: `break` is one in loops only."""
        loop = "if 1"
        for block in self.stack:
            if block[0] in ("for", "while"):
                loop = "while 1"
        try:
            # Nothing of it runs: not every board has compile(). The end is at fault when the code has another line, or wants one.
            exec("def f():\n %s:\n  %s #\n  0" % (loop, code), {})
            return True
        except SyntaxError:
            return False

    def flush(self) -> None:
        """Write what is to come out up to here, ahead of it the head of the function."""
        if self.args is not None:
            # An included one is a function within, so that it sees the variables of the outer one.
            self.put("def %s(%s):" % ("_i" if self.indent else "render", self.args))
            self.args = None
            self.indent += 1
            self.put("try:")
            self.indent += 1
            self.at(1)
        if self.values:
            self.at(self.line, "yield %r %% (%s)" % (self.text, self.values))
        elif self.text:
            self.put("yield %r" % self.text.replace("%%", "%"))
        self.text = self.values = ""

    def read(self, file: "Any") -> None:
        """Take a template apart, line by line: text, `{{ }}`, `{% %}` and `{# #}`."""
        count = 0
        while True:
            line = file.readline().decode()
            if not line:
                break
            count += 1
            if self.values or len(self.text) > _PIECE:
                self.flush()
            self.line = count
            while True:
                start, brace, line = line.partition("{")
                self.text += start.replace("%", "%%")
                if not brace:
                    break
                kind = "{%#".find(line[:1] or " ")
                if kind < 0:
                    self.text += brace
                    continue
                end = "}%#"[kind] + "}"
                while end not in line[1:]:
                    more = file.readline().decode()
                    if not more:
                        self.fail("no " + end)
                    line += more
                    count += 1
                code, _, line = line[1:].partition(end)
                code = code.strip()
                if kind == 0:
                    if not code or not self.ok("(%s)" % code):
                        self.fail("wrong or misplaced: " + code)
                    self.text += "%s"
                    self.values += "_t((%s))," % code
                else:
                    if kind == 1:
                        self.tag(code)
                    if not line.strip("\r\n"):
                        line = ""
                if count > self.line:
                    self.flush()
                    self.line = count

    def tag(self, code: str) -> None:
        """Write what is between `{%` and `%}`."""
        word, rest = (code.split(None, 1) + ["", ""])[:2]
        wrong = "wrong or misplaced: " + code
        if word == "args":
            if self.args is None or self.text.strip() or not self.ok("def f(%s): pass" % rest):
                self.fail(wrong)
            self.args = rest
            return
        self.flush()
        if self.stack:
            block = self.stack[-1]
            head = block[1] + ": pass\n  " + code
            if word == "end" + block[0]:
                # Also the body of what is empty. The next thing that can fail is the head of the block.
                self.at(block[4])
                self.indent = block[2]
                self.stack.pop()
                return
            if word in ("else", "elif") and self.ok(head + ": pass"):
                block[1] = head
                self.at(block[4])
                self.indent = block[3]
                self.put("else:")
                self.indent += 1
                if rest:
                    # An if of its own within, because its line is to be known.
                    block[3] = self.indent
                    self.at(self.line, code[2:] + ":")
                    self.indent += 1
                return
        if word == "include":
            mark = "}}" if rest[:2] == "{{" else rest[:1]
            name, mark, rest = rest[len(mark) :].partition(mark or "'")
            if not mark or mark not in "}}\"'":
                self.fail(wrong)
            code = "_i"
            if mark == "}}":
                code = "_T(%s).template" % name
            elif name in self.names:
                self.fail(name + " includes itself")
            else:
                try:
                    Compiler(self.dir, name, self.write, self.indent, self.names)
                except OSError:
                    self.fail("no file " + name)
            code = "yield from %s(%s)" % (code, rest)
        elif word == "set":
            code = rest
        elif self.ok(code + ": yield"):  # no class: it cannot have text
            self.at(self.line, code + ":")
            self.stack.append([word, code, self.indent, self.indent, self.line])
            self.indent += 1
            return
        if not code or word[:3] == "end" or not self.ok(code):
            self.fail(wrong)
        self.at(self.line, code)


def load(dir: str, name: str) -> "Callable[..., Iterator[str]]":
    """Compile a template in memory and return its generator function.

    Args:
        dir: where the files are.
        name: of the template.

    Raises:
        OSError: there is no such file, or the name leads out of the folder: a template is a program.
        SyntaxError: as `Compiler`.
    """
    if ".." in name:
        raise OSError
    source = io.StringIO()
    Compiler(dir, name, source.write)
    names: "dict[str, Any]" = {}
    exec(source.getvalue(), names)
    return names["render"]  # type: ignore[no-any-return]
