"""A failed attempt that shows that its set of devices is what failed."""

from llm_energy.backends import health
from llm_energy.backends.runtime import BackendError
from llm_energy.measurement.device_exclusivity import refuse_lost, working_devices
from llm_energy.power.sources import open_meters
from llm_energy.runs.run import Run
from llm_energy.runs.run_parts import give_up, others_left


def gives_up_set(whole: Run, part: Run, backend: str, reason: str) -> bool:
    """Give up the set of a failed attempt, if it is what failed and another set is left.

    It is where one of its GPUs is lost, or where the backend was given up on it and fails on no
    other set: a backend that fails on several is at fault itself.

    Args:
        whole: the run of all sets.
        part: the run of the set.
        reason: code of the failure.

    Returns:
        True where it was given up, so that another attempt is made on another set.
    """
    others = others_left(whole, part) if part != whole else []
    if not others:
        return False
    if lost(part):
        reason = "gpu_lost"
    elif not health.given_up(part, backend) or any(health.failing(o, backend) for o in others):
        return False
    give_up(whole, part, reason)
    return True


def lost(part: Run) -> bool:
    """Return whether a GPU of the set cannot be read any more."""
    record = part.record
    if record.device_set is None:
        return False
    only = record.device_set.devices
    meters = open_meters(cpu_model="", gpus=True, only=only, shared=True)
    try:
        refuse_lost(record.device_set, working_devices(meters, device="gpu", gpus=only))
    except BackendError:
        return True
    finally:
        for meter in meters:
            meter.close()
    return False
