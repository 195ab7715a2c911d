"""Take out of a source file what a board does not need: comments, docstrings, annotations, what is for type checkers or CPython.

    python tools/strip.py packages/microdot-core/src/microdot/app.py        prints it

A board that compiles sources itself holds the whole text and its parse tree in the heap while it does; what is left here
runs the same. Lines keep their numbers, so a traceback of a board leads to the line of the original.

For bytecode `const` is not imported any more: the compiler folds `NAME = const(…)`, and nobody calls it.
`assert` and blocks under `if __debug__:` go too, as they do in published bytecode (mpy-cross -O3). The result is compared
with the original, statement by statement, before it is handed out.
"""

from __future__ import annotations

import argparse
import ast
import io
import sys
import tokenize
from pathlib import Path
from typing import Any

_PACKAGE = "microdot."
_CHECKER = "TYPE_CHECKING"
_HOST = ("sys.implementation.name not in ('micropython', 'circuitpython')", "port.SERVER", "_port.SERVER")


class Edits:
    """Replacements in a text, given by the places that `ast` tells."""

    def __init__(self, text: str) -> None:
        """Edit `text`."""
        self.text = text
        self._lines = text.splitlines(keepends=True)
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))
        self._edits: list[tuple[int, int, str]] = []

    def at(self, line: int, column: int) -> int:
        """Return the index of a place of `ast`: lines from 1, columns in bytes of UTF-8."""
        if line > len(self._lines):
            return len(self.text)
        return self._starts[line - 1] + len(self._lines[line - 1].encode()[:column].decode())

    def start(self, node: Any) -> int:
        """Return where a node begins."""
        return self.at(node.lineno, node.col_offset)

    def end(self, node: Any) -> int:
        """Return where a node ends."""
        return self.at(node.end_lineno, node.end_col_offset)

    def replace(self, start: int, end: int, new: str) -> None:
        """Put `new` in place of a part of the text; the line breaks in that part stay."""
        self._edits.append((start, end, new + "\n" * self.text.count("\n", start, end)))

    def result(self) -> str:
        """Return the text with all replacements made; those within others are not."""
        pieces, done = [], 0
        for start, end, new in sorted(self._edits, key=lambda edit: (edit[0], -edit[1])):
            if start >= done:
                pieces += [self.text[done:start], new]
                done = end
        return "".join(pieces) + self.text[done:]


def _is_long(node: ast.ImportFrom) -> bool:
    return node.level == 0 and (node.module or "").startswith(_PACKAGE)


def _without_const(node: ast.ImportFrom, folded: bool) -> list[ast.alias]:
    """Return what is imported; where it is `folded` without `const`, but with `const as const`, which hands it on."""
    return [one for one in node.names if not folded or one.name != "const" or one.asname]


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_checker_name(node: ast.stmt) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else []
    return len(targets) == 1 and isinstance(targets[0], ast.Name) and targets[0].id == _CHECKER


def _is_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in (_CHECKER, *_HOST)


def _not_on_boards(node: ast.stmt, folded: bool) -> bool:
    """Tell whether a statement goes altogether."""
    if isinstance(node, ast.If) and (_is_checkers(node) or ast.unparse(node.test) == "__debug__"):
        return not node.orelse
    if isinstance(node, ast.ImportFrom):
        return not _without_const(node, folded)
    bare = isinstance(node, ast.AnnAssign) and node.value is None
    return _is_text(node) or bare or isinstance(node, ast.Assert) or _is_checker_name(node)


class _Without(ast.NodeTransformer):
    """The same program as a tree without what goes: what the result is compared with."""

    def __init__(self, inside: bool, folded: bool) -> None:
        """Make one for a module of the package or another, and for bytecode or a source."""
        self.inside = inside
        self.folded = folded

    def _body(self, body: list[ast.stmt], may_be_empty: bool = False) -> list[ast.stmt]:
        left = [self.visit(node) for node in body if not _not_on_boards(node, self.folded)]
        return left or ([] if may_be_empty else [ast.Pass()])

    def generic_visit(self, node: ast.AST) -> ast.AST:
        for name, value in ast.iter_fields(node):
            if name in ("body", "orelse", "finalbody") and isinstance(value, list):
                setattr(node, name, self._body(value, isinstance(node, ast.Module) or not value))
                if name == "orelse" and len(value) and isinstance(node.orelse[0], ast.Pass):  # type: ignore[attr-defined]
                    node.orelse = []  # type: ignore[attr-defined]  # whether it was `else` or `elif`
            elif isinstance(value, list):
                setattr(node, name, [self.visit(item) if isinstance(item, ast.AST) else item for item in value])
            elif isinstance(value, ast.AST):
                setattr(node, name, self.visit(value))
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        if _is_checkers(node):
            node = ast.If(ast.Constant(1), node.orelse, [])
        return self.generic_visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom:
        if self.inside and _is_long(node):
            node.level, node.module = 1, (node.module or "")[len(_PACKAGE) :]
        node.names = _without_const(node, self.folded)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    visit_FunctionDef = _function
    visit_AsyncFunctionDef = _function

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        assert node.value is not None
        return ast.Assign([node.target], self.visit(node.value))


def _drop_statements(edits: Edits, tree: ast.Module, folded: bool) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and _is_checkers(node) and node.orelse:
            # what stands under `else` is all that a board does
            at = edits.text.rindex("else", edits.end(node.body[-1]), edits.start(node.orelse[0]))
            edits.replace(edits.start(node), at, "")
            edits.replace(at, at + len("else"), "if 1")
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if not isinstance(body, list) or not body:
                continue
            left = [statement for statement in body if not _not_on_boards(statement, folded)]
            for statement in body:
                if statement not in left:
                    # `elif` begins with its word, and is not needed; other suites may not be empty
                    optional = isinstance(node, ast.Module) or edits.text.startswith("elif", edits.start(statement))
                    needed = statement is body[0] and not left and not optional
                    edits.replace(edits.start(statement), edits.end(statement), "pass" if needed else "")


def _drop_annotations(edits: Edits, tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and node.annotation is not None:
            edits.replace(edits.start(node) + len(node.arg), edits.end(node.annotation), "")
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            edits.replace(edits.end(node.target), edits.end(node.annotation), "")
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.returns is not None:
            begin = edits.start(node.returns)
            arrow = edits.text.rindex("->", 0, begin)
            while edits.text[arrow - 1] in " \t":
                arrow -= 1
            edits.replace(arrow, edits.end(node.returns), "")


def _shorten_imports(edits: Edits, tree: ast.Module, inside: bool, folded: bool) -> None:
    """Write `from .x import` for `from microdot.x import`: CPython wants the long form, boards keep every name for ever."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            left = _without_const(node, folded)
            long = inside and _is_long(node)
            if left and (long or len(left) < len(node.names)):
                module = "." + (node.module or "")[len(_PACKAGE) :] if long else "." * node.level + (node.module or "")
                names = ", ".join([f"{one.name} as {one.asname}" if one.asname else one.name for one in left])
                edits.replace(edits.start(node), edits.end(node), f"from {module} import {names}")


def _tidy(text: str) -> str:
    """Drop comments and trailing blanks, and indent by one blank; strings of several lines stay as they are."""
    inside: set[int] = set()  # lines that begin within a string
    comments: dict[int, int] = {}
    depths: dict[int, int] = {}  # line → depth, for the first lines of statements
    depth, first = 0, True
    formatted: list[int] = []  # where f-strings begin that have not ended yet: from Python 3.12 on they are several tokens
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        kind = tokenize.tok_name[token.type]
        if kind == "FSTRING_START":
            formatted.append(token.start[0])
        elif kind == "FSTRING_END":
            inside.update(range(formatted.pop() + 1, token.end[0] + 1))
        if token.type == tokenize.COMMENT:
            comments[token.start[0]] = token.start[1]
        elif token.type == tokenize.INDENT:
            depth += 1
        elif token.type == tokenize.DEDENT:
            depth -= 1
        elif token.type == tokenize.NEWLINE:
            first = True
        elif token.type not in (tokenize.NL, tokenize.ENDMARKER):
            if first:
                depths[token.start[0]] = depth
                first = False
            inside.update(range(token.start[0] + 1, token.end[0] + 1))
    lines = []
    for number, line in enumerate(text.split("\n"), 1):
        if number in comments:
            line = line[: comments[number]]
        if number + 1 not in inside:  # the end of the line is not part of a string
            line = line.rstrip()
        if number not in inside:
            bare = line.lstrip(" ")
            line = " " * depths.get(number, min(1, len(line) - len(bare))) + bare if bare else bare
        lines.append(line)
    return "\n".join(lines).rstrip("\n") + "\n"


def strip(text: str, name: str = "source", folded: bool = False) -> str:
    """Return a program without what a board does not need.

    Args:
        text: the program.
        name: what messages call it; modules of the package are `microdot/….py`.
        folded: whether it goes to mpy-cross, so that nothing of `const` is left at run time.

    Raises:
        SyntaxError: it is no Python.
        ValueError: the result would not be the same program.
    """
    tree = ast.parse(text, name)
    edits = Edits(text)
    _drop_statements(edits, tree, folded)
    _drop_annotations(edits, tree)
    inside = name.startswith(_PACKAGE[:-1] + "/")
    _shorten_imports(edits, tree, inside, folded)
    result = _tidy(edits.result())
    wanted = ast.dump(_Without(inside, folded).visit(ast.parse(text)))
    if ast.dump(_Without(inside, folded).visit(ast.parse(result, name))) != wanted:
        raise ValueError(f"{name}: what is left after stripping is not the same program")
    return result


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    options = parser.parse_args()
    sys.stdout.write(strip(options.file.read_text(encoding="utf-8"), "/".join(options.file.parts[-2:])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
