"""Results of schema version 1, which kept uncertainties where version 2 keeps what makes them up.

The limits of the sensors follow from the standard uncertainties: a limit ±a, within which any value
is equally likely, has the standard uncertainty a/√3 (JCGM 100:2008, 4.3.7).
"""

import math
from typing import Any

COMPUTED = (
    "standard_uncertainty_joules",
    "uncertainty_budget_joules",
    "above_loaded_idle_uncertainty_joules",
    "above_loaded_idle_budget_joules",
)
"""Fields of an energy that version 2 leaves to the analysis."""


def upgraded(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a result of version 1 as one of version 2 that names what was derived.

    Raises:
        ValueError: it is not one of version 1.
    """
    try:
        energy, limits = content["energy"], _limits(content)
        kept = {name: value for name, value in energy.items() if name not in COMPUTED}
        edges = energy["uncertainty_budget_joules"].get("edges")
    except (KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"not of schema version 1: {error!r}") from error
    return content | {
        "schema_version": 2,
        "energy": kept | limits | {"edge_uncertainty_joules": edges},
        "derived_on_reading": [f"energy.{name}" for name, v in limits.items() if v is not None],
    }


def _limits(content: dict[str, Any]) -> dict[str, float | None]:
    energy, budget = content["energy"], content["energy"]["uncertainty_budget_joules"]
    if not energy["energy_joules"] or not budget:
        return {"gain_limit_relative": None, "offset_limit_watts": None}
    devices = sum(device.get("counted", True) for device in energy["devices"])
    offset_watts = budget["offset"] / content["window"]["duration_s"] / devices
    return {
        "gain_limit_relative": math.sqrt(3.0) * budget["gain"] / energy["energy_joules"],
        "offset_limit_watts": math.sqrt(3.0) * offset_watts,
    }
