"""Synthetic results for every measurement of a real campaign: for what depends on their number.

No number in here was measured: see `make_results.py`.
"""

import copy
from pathlib import Path
from typing import Any

from tests.integration.workflow import CAMPAIGN
from tests.llm_energy.make_results import make_result
from tests.llm_energy.make_side_files import with_numbers

from llm_energy.campaign.campaign import Campaign
from llm_energy.results.result import result_file
from llm_energy.system.host import cpu_model


def campaign_of(measurements: int) -> dict[str, Any]:
    """A campaign of as many measurements, a multiple of 10 or 6: two batch sizes × output lengths,
    in five cycles or three."""
    cycles = 3 if measurements % 10 else 5
    lengths = range(4, 4 + measurements // (2 * cycles))
    axes = {"batch_size": [1, 2], "output_tokens": list(lengths)}
    campaign = copy.deepcopy(CAMPAIGN) | {"cycles": cycles, "experiments": {"nap": {"axes": axes}}}
    campaign["defaults"]["context_tokens"] = 4096
    return campaign


def write_results(campaign: Campaign, folder: Path, *, requests: bool = False) -> list[Path]:
    """Write a result for each measurement below `folder`, the campaign's results; their paths.

    Args:
        requests: with the requests of its window beside it, and the numbers that they give.
    """
    device, paths = cpu_model(), []
    for planned in campaign.schedule:
        experiment = planned.experiment
        result = make_result(
            experiment.name,
            cycle=planned.cycle,
            position=planned.position,
            settings=experiment.settings.model_dump(mode="json"),
            device_model=device,
            spec=dict(experiment.spec),
            spec_hash=experiment.spec_hash,
            protocol=experiment.spec["protocol"],
        )
        environment = result.environment.model_copy(update={"cpu_model": device})
        result = result.model_copy(update={"environment": environment})
        if requests:
            result = with_numbers(folder, result)
        path = folder / planned.result_path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(result_file(result))  # without fsync: nothing to lose
        paths.append(path)
    return paths
