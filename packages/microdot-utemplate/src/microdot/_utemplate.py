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
        outer: the compiler of the template that includes this one.

    Raises:
        OSError: there is no such file.
        SyntaxError: the message has template and line.
    """

    line = indent = 0
    args = ""
    begun = False
    text = ""  # what is to come out next, as a format string
    values = ""  # and the expressions for it
    names: "tuple[str, ...]" = ()  # of this template, and before it those that include it

    def __init__(self, dir: str, name: str, write: "Callable[[str], Any]", outer: "Compiler | None" = None) -> None:
        self.dir = dir
        self.name = name
        self.write = write
        self.stack: "list[list[Any]]" = []  # of open blocks: word, indent, indent of the last elif, line
        if outer:
            self.indent = outer.indent
            self.names = outer.names
        else:
            write("from microdot.utemplate import Safe, Template as _T, _t\n")
        self.names += (name,)
        # Bytes, because text files are in the encoding of the system elsewhere.
        with open(dir + "/" + name, "rb") as file:
            self.read(file)
        self.line += 1
        self.flush()
        if self.stack:
            self.line = self.stack[-1][3]
            self.fail("no end" + self.stack[-1][0])
        self.indent -= 1
        # The yield makes a generator of a template without text.
        self.put("except Exception as _e: print('%%s:%%d: %%r' %% (%r, _n, _e)); raise; yield" % name)
        self.indent -= 1

    def fail(self, code: str) -> None:
        raise SyntaxError("%s:%d: %s" % (self.name, self.line, code))

    def put(self, code: str) -> None:
        self.write(" " * self.indent + code + "\n")

    def at(self, line: int, code: str = "pass") -> None:
        self.put("_n = %d" % line)
        self.put(code)

    def ok(self, code: str) -> bool:
        loop = "if 1"
        for block in self.stack:
            if block[0] == "for" or block[0] == "while":
                loop = "while 1"
        try:
            compile("def f():\n %s:\n  %s\n" % (loop, code), "", "exec")
            return True
        except SyntaxError:
            return False

    def flush(self) -> None:
        if not self.begun:
            self.begun = True
            # An included one is a function within, so that it sees the variables of the outer one.
            self.put("def %s(%s):" % ("_i" if self.names[1:] else "render", self.args))
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
                kind = line[:1]
                if not kind or kind not in "{%#":
                    self.text += brace
                    continue
                end = ("}" if kind == "{" else kind) + "}"
                while end not in line[1:]:
                    more = file.readline().decode()
                    if not more:
                        self.fail("not closed: {" + kind)
                    line += more
                    count += 1
                code, _, line = line[1:].partition(end)
                code = code.strip()
                if kind == "{":
                    if not code or not self.ok("(%s)" % code):
                        self.fail("{{ %s }}" % code)
                    self.text += "%s"
                    self.values += "_t((%s))," % code
                else:
                    if kind == "%":
                        self.tag(code)
                    if not line.strip("\r\n"):
                        line = ""
                if count > self.line:
                    self.flush()
                    self.line = count

    def tag(self, code: str) -> None:
        word = (code.split() or [""])[0]
        rest = code[len(word) :].strip()
        if word == "args":
            if self.begun or self.text.strip():
                self.fail("args: not first")
            if not self.ok("def f(%s): pass" % rest):
                self.fail(code)
            self.args = rest
            return
        self.flush()
        block: "list[Any]" = self.stack[-1] if self.stack else [""]
        if word == "else" or word == "elif" or word[:3] == "end" and not rest:
            known = word[3:] if word[1] == "n" else "if" if word == "elif" else block[0]
            if not known or known != block[0]:
                self.fail("no beginning: " + word)
            # Also the body of what is empty. The next thing that can fail is the head of the block.
            self.at(block[3])
            self.indent = block[1]
            if word[1] == "n":
                self.stack.pop()
                return
            self.indent = block[2]
            if self.indent < 0 or word == "else" and rest:
                self.fail(code)
            self.put("else:")
            self.indent += 1
            block[2] = -1
            if word == "elif":
                # An if of its own within, because its line is to be known.
                block[2] = self.indent
                code = code[2:]
                self.at(self.line, code + ":")
                self.indent += 1
                if not self.ok(code + ": pass"):
                    self.fail("el" + code)
            return
        if word == "include":
            mark = "}}" if rest[:2] == "{{" else rest[:1]
            end = rest.find(mark, 1)
            if not rest or mark not in "}}\"'" or end < 0:
                self.fail(code)
            name = rest[len(mark) : end]
            code = "yield from _i(%s)" % rest[end + len(mark) :]
            if mark == "}}":
                code = code.replace("_i", "_T(%s).template" % name, 1)
            elif name in self.names:
                self.fail(name + " includes itself")
            else:
                try:
                    Compiler(self.dir, name, self.write, self)
                except OSError:
                    self.fail("no file " + name)
        elif word == "set":
            code = rest
        elif self.ok(code + ": pass"):
            self.at(self.line, code + ":")
            self.stack.append([word, self.indent, self.indent, self.line])
            self.indent += 1
            return
        if not self.ok(code):
            self.fail(code)
        self.at(self.line, code)


def load(dir: str, name: str) -> "Callable[..., Iterator[str]]":
    """Compile a template in memory and return its generator function.

    Args:
        dir: where the files are.
        name: of the template.

    Raises:
        OSError, SyntaxError: as `Compiler`.
    """
    source = io.StringIO()
    Compiler(dir, name, source.write)
    names: "dict[str, Any]" = {}
    exec(source.getvalue(), names)
    return names["render"]  # type: ignore[no-any-return]
