"""Mistakes in what is made ready before a measurement; each message is one line with its remedy."""

from llm_energy.system.scripting import UserError


class InputError(UserError):
    """An environment, model or prompt set that cannot be made ready."""


class ModelError(InputError):
    """A model that cannot be had, or whose files are not those that were declared."""


class PromptError(InputError):
    """A prompt set that cannot be read, or that no engine could take."""
