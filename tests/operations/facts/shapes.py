"""Whether a value has the shape that a fact declares for it."""

from __future__ import annotations

import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict


def fits(value: object, shape: Any) -> bool:
    """Whether a value is what an annotation says, all the way down and to the letter: True is no int."""
    if shape is Any:
        return True
    if shape is None:
        return value is None
    if is_typeddict(shape):
        hints = get_type_hints(shape)
        return type(value) is dict and value.keys() == hints.keys() and all(fits(value[k], hints[k]) for k in hints)
    if get_origin(shape) in (Union, types.UnionType):
        return any(fits(value, choice) for choice in get_args(shape))
    if get_origin(shape) is Literal:
        return value in get_args(shape)
    if get_origin(shape) is list:
        return type(value) is list and all(fits(item, get_args(shape)[0]) for item in value)
    if get_origin(shape) is dict:
        keys, values = get_args(shape)
        return type(value) is dict and all(fits(k, keys) and fits(v, values) for k, v in value.items())
    return type(value) is shape
