"""Which value a cell gives back: the variable `result` if the cell set it, or what its last line is."""

import ast
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NAME = "result"
RETURNS = ("none", "automatic", "result", "expression")
MISSING = object()

_WRITERS = ("write", "seek", "truncate")
"""Beginnings of the names of methods that give back how much was written, or where."""


@dataclass(frozen=True)
class Found:
    source: str
    """`result` or `expression`."""
    value: Any
    strict: bool
    """Nobody said that this is the result: it counts only if it has a JSON form."""


class Cell:
    """Looks at a cell before it runs, and again when it has come to its end."""

    def __init__(self, returns: str, source: str, names: Mapping[str, Any]) -> None:
        """`source` is Python: magics are transformed already. `names` are the user's variables."""
        self._returns = returns
        self._names = names
        self._before = names.get(NAME, MISSING)
        self._tree = _parsed(source) if returns != "none" else None

    def found(self, last: Any) -> Found | None:
        """`last` is the value of the last line, None if it has none."""
        if self._returns in ("automatic", "result") and self._sets_result():
            return Found("result", self._names[NAME], strict=False)
        if last is None or self._returns not in ("automatic", "expression"):
            return None
        is_automatic = self._returns == "automatic"
        if is_automatic and self._is_by_the_way():
            return None
        return Found("expression", last, strict=is_automatic)

    def _sets_result(self) -> bool:
        """A `result` of an earlier cell is none of this one, unless this one names or changes it."""
        now = self._names.get(NAME, MISSING)
        if now is MISSING:
            return False
        if now is not self._before:
            return True
        return self._tree is not None and any(_changes_result(node) for node in ast.walk(self._tree))

    def _is_by_the_way(self) -> bool:
        """Whether the last line draws or writes something: `plt.axis("off")`, `file.write(text)`."""
        body = self._tree.body if self._tree is not None else []
        if not body or not isinstance(body[-1], ast.Expr):
            return False
        node: ast.expr = body[-1].value
        if isinstance(node, ast.Await):
            node = node.value
        if not isinstance(node, ast.Call):
            return False
        if isinstance(node.func, ast.Attribute) and node.func.attr.startswith(_WRITERS):
            return True
        while isinstance(node, (ast.Call, ast.Attribute, ast.Subscript)):
            node = node.func if isinstance(node, ast.Call) else node.value
        return isinstance(node, ast.Name) and _draws(self._names.get(node.id))


def _parsed(source: str) -> ast.Module | None:
    try:
        flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        tree = compile(source, "<cell>", "exec", flags, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tree if isinstance(tree, ast.Module) else None


def _changes_result(node: ast.AST) -> bool:
    match node:
        case ast.Name(id="result", ctx=ast.Store()) | ast.Global(names=["result", *_]):
            return True
        case ast.Subscript(ctx=ast.Store() | ast.Del()) | ast.Attribute(ctx=ast.Store() | ast.Del()):
            return _root(node) == NAME
        case ast.Expr(value=ast.Call(func=ast.Attribute() as function)):
            # result.append(…), which changes it in place
            return _root(function) == NAME
        case _:
            return False


def _root(node: ast.AST) -> str | None:
    while isinstance(node, (ast.Subscript, ast.Attribute)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _draws(base: Any) -> bool:
    """pyplot itself, a figure, or axes."""
    module = base.__name__ if isinstance(base, types.ModuleType) else type(base).__module__
    return isinstance(module, str) and module.partition(".")[0] in ("matplotlib", "seaborn")
