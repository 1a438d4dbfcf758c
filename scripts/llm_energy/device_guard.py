"""Whether a campaign was measured on another device model than this machine has."""

from pathlib import Path

from llm_energy.campaign import Campaign
from llm_energy.host import cpu_model
from llm_energy.preflight.gpus import NoGpuError, read_gpus
from llm_energy.results import ResultError, read_result


def foreign_device(campaign: Campaign, results: Path) -> tuple[str, str] | None:
    """The device model of the campaign's results and what is here, where they differ.

    Results of one campaign belong together: another device model is another campaign. None where
    nothing is measured yet, and where no GPU can be asked, which is told elsewhere.
    """
    there = _measured_on(campaign, results)
    if there is None:
        return None
    if campaign.measurement.device == "cpu":
        here = [cpu_model()]
    else:
        try:
            here = sorted({gpu.device.model for gpu in read_gpus()})
        except NoGpuError:
            return None
    return None if there in here else (there, ", ".join(here))


def _measured_on(campaign: Campaign, results: Path) -> str | None:
    for cell in campaign.cells:
        try:
            return read_result(results / cell.result_path).environment.device_model
        except ResultError:
            continue  # not measured yet, or unusable: aggregation reports it
    return None
