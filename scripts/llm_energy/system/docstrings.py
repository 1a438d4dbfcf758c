"""Docstrings of the fields of models, read from the source where somebody needs them.

Pydantic's `use_attribute_docstrings` reads them each time that a program loads the models.
"""

import ast
import inspect
import sys
from collections.abc import Mapping
from functools import cache

from pydantic import BaseModel


@cache
def field_docstrings(model: type[BaseModel]) -> Mapping[str, str]:
    """Return the docstring of each field that has one, by name; those of bases count too."""
    found: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        if issubclass(kind, BaseModel) and kind is not BaseModel:
            found |= _by_class(kind.__module__).get(kind.__name__, {})
    return found


@cache
def _by_class(module: str) -> Mapping[str, Mapping[str, str]]:
    """Return the docstrings in a module, by class and field."""
    content = ast.parse(inspect.getsource(sys.modules[module])).body
    return {node.name: _of_fields(node) for node in content if isinstance(node, ast.ClassDef)}


def _of_fields(node: ast.ClassDef) -> Mapping[str, str]:
    found = {}
    for field, after in zip(node.body, node.body[1:], strict=False):
        match field, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = inspect.cleandoc(text)
    return found
