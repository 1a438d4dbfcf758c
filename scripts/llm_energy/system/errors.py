"""Mistakes of a user in files and inputs; each message is one line with its remedy."""

from pydantic import ValidationError

from llm_energy.system.scripting import UserError


class InputError(UserError):
    """An environment, model or prompt set that cannot be made ready."""


class ModelError(InputError):
    """A model that cannot be had, or whose files are not those that were declared."""


class PromptError(InputError):
    """A prompt set that cannot be read, or that no engine could take."""


def first_fault(error: ValidationError) -> str:
    """Return the first fault of a file against its schema, with its place if it has one."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]
