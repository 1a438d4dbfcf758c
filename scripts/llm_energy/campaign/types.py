"""The building blocks of the configuration's models: strict, closed, with units.

A model accepts exactly what its JSON schema accepts: no strings for numbers, no unknown keys.
"""

import math
import secrets
from typing import Annotated, Any, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
)
from pydantic_core import PydanticCustomError, core_schema

NAME = r"^[a-z0-9][a-z0-9._-]*$"
IDENTIFIER = r"^[a-z][a-z0-9_-]*$"
SHA256 = r"^[0-9a-f]{64}$"
PINNED_IMAGE = r"^([^@\s]+@)?sha256:[0-9a-f]{64}$"
BASE_IMAGE = r"^(debian|\S+:[A-Za-z0-9_][A-Za-z0-9_.-]*|\S+@sha256:[0-9a-f]{64})$"
CONTAINER = r"^[a-zA-Z0-9][a-zA-Z0-9_.-]+$"
MEMORY = r"^([1-9][0-9]{0,14}b|[1-9][0-9]{0,11}k|[1-9][0-9]{0,8}m|[1-9][0-9]{0,5}g)$"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
CURRENCY = r"^[A-Z]{3}$"
PACKAGE = r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"
VERSION = (
    r"^([0-9]+!)?[0-9]+(\.[0-9]+)*((a|b|rc)[0-9]+)?(\.post[0-9]+)?(\.dev[0-9]+)?"
    r"(\+[a-z0-9]+(\.[a-z0-9]+)*)?$"
)
"""Canonical form of a version, from the appendix of PEP 440."""

URL = "^https?://"

PATTERNS_IN_WORDS = {
    NAME: "may hold a-z, 0-9, `.`, `_` and `-`, and begins with a letter or a digit",
    IDENTIFIER: "may hold a-z, 0-9, `_` and `-`, and begins with a letter",
    SHA256: "must be a sha256: 64 hexadecimal digits in lower case",
    PINNED_IMAGE: "must be an image by digest, `NAME@sha256:...`; `docker image inspect` tells it",
    BASE_IMAGE: "must be `debian`, or an image with its tag or digest",
    CONTAINER: "must be the name of a container: letters, digits, `_`, `.` and `-`",
    MEMORY: "must be a whole number with its unit b, k, m or g, such as 8g, below 1000000g",
    VARIABLE: "may hold letters, digits and `_`, and begins with no digit",
    PACKAGE: "must be the name of a package alone: letters, digits, `.`, `_` and `-`",
    VERSION: "must be one exact version as PEP 440 writes it, such as 1.2.0",
    CURRENCY: "must be three capital letters, such as EUR",
    URL: "must begin with http:// or https://, like http://127.0.0.1:8000",
}


class Model(BaseModel):
    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
    )


def canonical_number(value: Any) -> Any:
    """8.0 -> 8: a whole number has one form, whatever its notation. Others pass unchanged."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def canonical(value: Any) -> Any:
    """`value` with every number in it in its one form (see `canonical_number`)."""
    if isinstance(value, dict):
        return {key: canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    return canonical_number(value)


def unit(text: str) -> Any:
    """A field's unit, kept in the JSON schema for the reference table."""
    return Field(json_schema_extra={"unit": text})


TAG = secrets.token_hex(4)
"""Begins the name of an alternative in the location of an error: no key of a file can be one."""


def tag_of(name: str) -> str:
    return f"<{TAG}:{name}>"


class Filled:
    """A section that may be missing, but not stand in the file with nothing in it: it would count
    as missing, whatever its author meant."""

    def __init__(self, message: str = "must be keys with values, not null") -> None:
        self.message = message

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        def check(value: Any) -> Any:
            if value is None:
                raise PydanticCustomError("kind", "{text}", {"text": self.message})
            return value

        return core_schema.no_info_before_validator_function(check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        node = handler(schema)
        others = [each for each in node.pop("anyOf") if each != {"type": "null"}]
        return node | (others[0] if len(others) == 1 else {"anyOf": others})


class Alternatives:
    """Signs of the alternatives of a union: the last one whose sign fits is validated.

    Messages are then about this alternative alone. A sign is a type, or a text that is a key of the
    value or the value itself, or several; `object` fits always.
    """

    def __init__(self, *signs: "Sign", message: str = "") -> None:
        self.signs = signs
        self.message = message

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        kinds = get_args(source)
        tags = [tag_of(k.__name__ if isinstance(k, type) else str(i)) for i, k in enumerate(kinds)]

        def choose(value: Any) -> str | None:
            if isinstance(value, Model):
                return tag_of(type(value).__name__)
            found = zip(tags, self.signs, strict=True)
            return next((tag for tag, sign in reversed([*found]) if _fits(sign, value)), None)

        return core_schema.tagged_union_schema(
            dict(zip(tags, map(handler.generate_schema, kinds), strict=True)),
            discriminator=choose,
            custom_error_type="kind",
            custom_error_message=self.message,
        )


Sign = str | type | tuple[str | type, ...]


def _fits(sign: Sign, value: Any) -> bool:
    if isinstance(sign, tuple):
        return any(_fits(each, value) for each in sign)
    if isinstance(sign, str):
        return bool(value == sign) or (isinstance(value, dict) and sign in value)
    return sign is object or type(value) is sign


WEEK_S = 604_800
"""Longest duration of anything in a measurement, in seconds."""

# The validator stands after the bounds: else pydantic leaves them out of the JSON schema.
Whole = Annotated[int, BeforeValidator(canonical_number)]
Natural = Annotated[int, Field(ge=0, lt=2**63), BeforeValidator(canonical_number)]
Count = Annotated[int, Field(ge=1, lt=2**31), BeforeValidator(canonical_number)]
Tokens = Annotated[Count, unit("tokens")]
Seconds = Annotated[float, Field(ge=0, le=WEEK_S), unit("s")]
Duration = Annotated[float, Field(ge=0.001, le=WEEK_S), unit("s")]
Hertz = Annotated[float, Field(ge=0.01, le=1000), unit("Hz")]
Name = Annotated[str, Field(pattern=NAME, max_length=100)]
Identifier = Annotated[str, Field(pattern=IDENTIFIER, max_length=100)]
Text = Annotated[str, Field(min_length=1)]
PackageName = Annotated[str, Field(pattern=PACKAGE, max_length=200)]
PackageVersion = Annotated[str, Field(pattern=VERSION, max_length=200)]
Sha256 = Annotated[str, Field(pattern=SHA256)]
PinnedImage = Annotated[str, Field(pattern=PINNED_IMAGE)]
BaseImage = Annotated[str, Field(pattern=BASE_IMAGE)]
ContainerName = Annotated[str, Field(pattern=CONTAINER, max_length=200)]
Memory = Annotated[str, Field(pattern=MEMORY)]
Currency = Annotated[str, Field(pattern=CURRENCY)]
EnvironmentVariable = Annotated[str, Field(pattern=VARIABLE, max_length=100)]


def _finite(value: Any) -> Any:
    """One message for a number that is none, not one for each kind of number."""
    if isinstance(value, float) and not math.isfinite(value):
        raise PydanticCustomError("finite_number", "must be a finite number")
    return value


Number = Annotated[Whole | float, BeforeValidator(_finite)]
Scalar = Annotated[
    bool | Number | str,
    Alternatives(bool, (int, float), str, message="must be one number or text, or true or false"),
]
"""A single value."""
