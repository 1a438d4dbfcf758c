"""Functions that rules give Snakemake for each of their jobs, which may be ten thousand."""

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from llm_energy.campaign.experiment import Experiment
from llm_energy.system.cache import environment_marker, model_marker, prompts_marker

InputFunction = Callable[[Any], list[str]]
Function = TypeVar("Function", bound=Callable[[Any], Any])


def of_wildcards(function: Function) -> Function:
    """Return a function of `wildcards` with its signature known: Snakemake looks at that twice
    for each job, which else takes longer than all that the function does."""
    parameter = inspect.Parameter("wildcards", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    function.__signature__ = inspect.Signature([parameter])  # type: ignore[attr-defined]
    return function


def inputs_of(experiment: Experiment) -> list[str]:
    """The markers of all that an experiment is measured with."""
    return _markers(experiment.environment.id, experiment.model.id, experiment.prompts.id)


@cache
def _markers(environment_id: str, model_id: str, prompts_id: str) -> list[str]:
    return [
        str(environment_marker(environment_id)),
        str(model_marker(model_id)),
        str(prompts_marker(prompts_id)),
    ]
