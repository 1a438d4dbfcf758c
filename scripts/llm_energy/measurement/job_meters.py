"""The meters of a measuring job: of its share of the host, and the controller it names."""

from dataclasses import replace

from llm_energy.measurement.job import Job
from llm_energy.power.meter import Meter
from llm_energy.power.sources import open_meters
from llm_energy.runs.run_records import RunRecord


def job_meters(job: Job, record: RunRecord) -> tuple[Meter, ...]:
    """Open all meters of a job, to be closed by the caller.

    In an allocation of Slurm, on whichever node, one address is not that of its controller.
    """
    host_power = job.experiment.host_power
    if host_power is not None and host_power.redfish and record.job is not None:
        host_power = replace(host_power, elsewhere=True)
    return open_meters(
        cpu_model=record.host_facts.cpu_model,
        gpus=job.experiment.device == "gpu",
        only=record.device_set.devices if record.device_set else None,
        shared=record.shares_host,
        host_power=host_power,
    )
