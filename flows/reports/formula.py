"""The formula of a metric as text: what its function returns, with the names of columns and the values of constants."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import polars as pl

from schemas.metric import Metric

_COLUMN: Final = re.compile(r'col\("([^"]+)"\)')
_OURS: Final = ("transforms.", "schemas.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """What a value is computed by: `text` in the notation of Python, and what the names in it mean, by name."""

    text: str
    meanings: Mapping[str, str] = field(default_factory=dict)


def formula_of(metric: Metric) -> Formula:
    """The formula of a metric."""
    return Formula(text=str(metric.expr)) if metric.function is None else _formula_of(metric.function)


@cache
def _formula_of(function: Callable[[], pl.Expr]) -> Formula:
    """Read once for all runs of a process, since it takes milliseconds."""
    meanings: dict[str, str] = {}
    text = "\n".join(_lines(function, meanings))
    return Formula(text=text, meanings=meanings)


class _Written(ast.NodeTransformer):
    """Puts columns in the place of `pl.col("...")`, values in that of constants, and notes what other names mean."""

    def __init__(self, function: Callable[..., Any], meanings: dict[str, str]) -> None:
        found = inspect.getclosurevars(function)
        self._names: Mapping[str, Any] = {**found.globals, **found.nonlocals}
        self._module = function.__module__
        self._meanings = meanings

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if len(node.args) == 1 and not node.keywords and ast.unparse(node.func) in ("pl.col", "pl.lit"):
            given = self.visit(node.args[0])
            is_column = ast.unparse(node.func) == "pl.col"
            return ast.Name(str(given.value)) if is_column and isinstance(given, ast.Constant) else given
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self._resolved(node, [node.id])

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        path = ast.unparse(node).split(".")
        return self._resolved(node, path) if all(map(str.isidentifier, path)) else self.generic_visit(node)

    def _resolved(self, node: ast.AST, path: Sequence[str]) -> ast.AST:
        if path[0] not in self._names:
            return self.generic_visit(node)
        value = self._names[path[0]]
        for name in path[1:]:
            if isinstance(value, pl.Expr):
                return self.generic_visit(node)
            value = getattr(value, name, None)
        if isinstance(value, bool | int | float | str):
            return ast.Constant(value)
        if isinstance(value, pl.Expr) and value.meta.is_column():
            return ast.Name(value.meta.output_name())
        if isinstance(value, pl.DataType) or inspect.ismodule(value) or value is None:
            return node
        self._note(".".join(path), value)
        return node

    def _note(self, name: str, value: Any) -> None:
        """Note what a name means that is one of ours; those of Polars are in its reference."""
        if name in self._meanings:
            return
        owner = getattr(value, "__self__", None)
        if not callable(value):
            self._meanings[name] = _COLUMN.sub(r"\1", str(value))
        elif (getattr(value, "__module__", None) or "").startswith(_OURS):
            self._meanings[name] = ""  # so that a function that calls itself ends
            self._meanings[name] = ": ".join(filter(None, (_first_sentence(value), self._written(value))))
        if callable(value) and owner is not None and not inspect.ismodule(owner):
            self._meanings.setdefault(name.rpartition(".")[0], str(owner))

    def _written(self, function: Callable[..., Any]) -> str:
        """What a function returns that is written for the metrics of one module; of others the sentence is enough."""
        is_own = function.__module__ == self._module and inspect.isfunction(function)
        return "; ".join(_lines(function, self._meanings)) if is_own else ""


def _lines(function: Callable[..., Any], meanings: dict[str, str]) -> list[str]:
    """The statements of a function without its docstring, the last one without `return`."""
    written = _Written(function, meanings)
    parsed = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    steps = [step for step in getattr(parsed, "body", []) if not _is_docstring(step)]
    lines = [ast.unparse(ast.fix_missing_locations(written.visit(step))) for step in steps]
    return [*lines[:-1], *(line.removeprefix("return ") for line in lines[-1:])]


def _first_sentence(value: Any) -> str:
    documented = " ".join((inspect.getdoc(value) or "").split())
    return documented.split(". ")[0].removesuffix(".")


def _is_docstring(step: ast.stmt) -> bool:
    return isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant)
