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
    # Backend, engine process and experiment: those that share one stay together.
    parts = {e: (e.settings.backend, e.engine_key, e.name) for e in experiments}
    ordered: list[tuple[Experiment, int]] = []
    for cycle in range(1, cycles + 1):
        ranks = {
            e: [hashlib.sha256(f"{seed}/{cycle}/{part}".encode()).digest() for part in parts[e]]
            for e in experiments
        }
        block = sorted(experiments, key=ranks.__getitem__) if randomised else experiments
        ordered += [(experiment, cycle) for experiment in block]
    return tuple(
        PlannedMeasurement(experiment, cycle, position)
        for position, (experiment, cycle) in enumerate(ordered)
    )
