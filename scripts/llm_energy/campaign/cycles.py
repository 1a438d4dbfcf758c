"""How often experiments are measured: a number, or as often as their own spread asks for."""

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from llm_energy.campaign.types import Count, Model


class AdaptiveCycles(Model):
    """Cycles in two stages: the first ones tell how many the precision asked for needs."""

    first: Annotated[int, Field(ge=3)] = 5
    """Cycles that every experiment is measured in. With fewer than 5 the spread is poorly known,
    and many more are asked for than are needed."""
    maximum: Count
    """Most cycles of an experiment, whatever its spread asks for."""
    target_relative_half_width: Annotated[float, Field(gt=0, lt=1)] = 0.02
    """Half width of the 95 % interval of the mean over the mean: 0.02 is ±2 %."""

    @model_validator(mode="after")
    def _room_for_a_second_stage(self) -> "AdaptiveCycles":
        if self.maximum <= self.first:
            text = f"must be above first, which is {self.first}; or give one number"
            raise PydanticCustomError("kind", f"maximum {text}")
        return self


def _kind_of_cycles(value: Any) -> str:
    return "<AdaptiveCycles>" if isinstance(value, dict | AdaptiveCycles) else "<number>"


Cycles = Annotated[
    Annotated[Count, Tag("<number>")] | Annotated[AdaptiveCycles, Tag("<AdaptiveCycles>")],
    Discriminator(_kind_of_cycles),
]
