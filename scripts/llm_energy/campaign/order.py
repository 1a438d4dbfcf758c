"""The order of the measurements: randomised complete blocks.

Each cycle is one block that holds every experiment once, in an order of its own. Experiments that
one engine process can serve stay together in the block, and so do those of one backend, so that a
block loads each engine once. Ranks are hashes of seed, cycle and name: nothing that is added later
changes the order of what was there.
"""

import hashlib
from collections.abc import Sequence

from llm_energy.campaign.experiment import Experiment, PlannedMeasurement


def schedule(
    experiments: Sequence[Experiment], *, cycles: int, seed: int, randomised: bool
) -> tuple[PlannedMeasurement, ...]:
    """Return all measurements of a campaign in their planned order, positions from 0.

    Without `randomised` every cycle has the experiments in the order given.
    """
    keys = [experiment.engine_key for experiment in experiments]
    ordered: list[tuple[Experiment, int]] = []
    for cycle in range(1, cycles + 1):
        block = list(zip(experiments, keys, strict=True))
        if randomised:
            block.sort(key=lambda pair: _rank(seed, cycle, *pair))
        ordered += [(experiment, cycle) for experiment, _ in block]
    return tuple(
        PlannedMeasurement(experiment=experiment, cycle=cycle, position=position)
        for position, (experiment, cycle) in enumerate(ordered)
    )


def _rank(seed: int, cycle: int, experiment: Experiment, key: str) -> tuple[bytes, ...]:
    """Places of backend, engine process and experiment in the block of this cycle."""
    return tuple(
        hashlib.sha256(f"{seed}/{cycle}/{part}".encode()).digest()
        for part in (experiment.settings.backend, key, experiment.name)
    )
