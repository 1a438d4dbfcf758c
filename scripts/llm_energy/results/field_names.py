"""Names of the fields that models were given, in one set for each class.

pydantic keeps a set of its own in each model, which takes as much room as the numbers in it, and
which nothing here reads.
"""

from functools import cache
from typing import Any, get_args, get_origin

from pydantic import BaseModel


def share_field_names(model: BaseModel) -> None:
    """Give a model, and all models in it, the set of its class."""
    names, parts = _fields(type(model))
    object.__setattr__(model, "__pydantic_fields_set__", names)
    for name in parts:
        part = getattr(model, name)
        for one in part if isinstance(part, list) else (part,):
            if one is not None:
                share_field_names(one)


@cache
def _fields(model: type[BaseModel]) -> tuple[set[str], list[str]]:
    """(names of the fields, those that hold models or lists of them)."""
    fields = model.model_fields
    parts = [name for name, field in fields.items() if _holds_models(field.annotation)]
    return set(fields), parts


def _holds_models(annotation: Any) -> bool:
    kinds = get_args(annotation)
    if get_origin(annotation) is dict:
        return False
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return is_model or any(map(_holds_models, kinds))
