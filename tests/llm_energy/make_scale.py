"""Synthetic results for every measurement of a real campaign: for what depends on their number.

No number in here was measured: see `make_results.py`.
"""

import copy
from pathlib import Path
from typing import Any

from tests.integration.workflow import CAMPAIGN
from tests.llm_energy.make_results import make_result

from llm_energy.campaign.campaign import Campaign
from llm_energy.results.result import Result
from llm_energy.results.side_files import write_requests
from llm_energy.system.host import cpu_model

CYCLES = 5


def campaign_of(measurements: int) -> dict[str, Any]:
    """A campaign of as many measurements, a multiple of 10: two batch sizes × output lengths."""
    lengths = range(4, 4 + measurements // (2 * CYCLES))
    axes = {"batch_size": [1, 2], "output_tokens": list(lengths)}
    campaign = copy.deepcopy(CAMPAIGN) | {"cycles": CYCLES, "experiments": {"nap": {"axes": axes}}}
    campaign["defaults"]["context_tokens"] = 4096
    return campaign


def write_results(campaign: Campaign, folder: Path, *, requests: bool = False) -> list[Path]:
    """Write a result for each measurement below `folder`, the campaign's results; their paths.

    Args:
        requests: with the side file that such a window leaves, one row for each request.
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
        )
        if requests:
            result = with_requests(result, folder, planned.result_path)
        path = folder / planned.result_path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(result.model_dump_json(indent=1))  # without fsync: nothing to lose
        paths.append(path)
    return paths


def with_requests(result: Result, folder: Path, path: str) -> Result:
    """The result with requests that give just its counts of tokens."""
    assert result.window is not None
    assert result.tokens is not None
    start, count = result.window.start_monotonic_s, result.tokens.requests
    length = result.tokens.output // count
    step = result.window.duration_s / count
    rows = [
        {
            "prompt": 0,
            "wave": number,
            "submitted": start + number * step,
            "token_times": [start + (number + (n + 0.5) / length) * step for n in range(length)],
        }
        for number in range(count)
    ]
    name = path.replace("measurements/", "requests/").replace(".json", ".parquet")
    file = write_requests(folder, name, rows, input_lengths=[40])
    tokens = result.tokens.model_copy(update={"input": 40 * count, "output": length * count})
    rate = tokens.output / result.window.duration_s
    return result.model_copy(
        update={
            "tokens": tokens,
            "output_tokens_per_second": rate,
            "side_files": {"requests": file},
        }
    )
