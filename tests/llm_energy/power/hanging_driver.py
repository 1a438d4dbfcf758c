"""A process that samples GPUs whose driver stops answering, and must end all the same."""

import os
import subprocess
import sys
from pathlib import Path

SAMPLE = """
import sys
import time
from pathlib import Path
from llm_energy.power import deadline, sources
from llm_energy.power.sampler import Sampler
deadline.OPEN_DEADLINE_S = float(sys.argv[2])
meters = sources.open_meters(cpu_model="Made CPU", gpus=True)
with Sampler(meters, rate_hz=20.0) as sampler:
    time.sleep(0.1)
    deadline.READ_DEADLINE_S = 0.5  # the first reading had the long deadline of the product
    Path(sys.argv[1]).touch()
for meter in meters:
    meter.close()
for reading in sampler.series().readings:
    print(reading.device, reading.unavailable.get("energy_counter_joules"))
"""


def sampled_reasons(
    library: Path, hangs: Path, device: str, *, open_deadline_s: float = 60.0
) -> list[str]:
    """Return why each reading of a device has no energy, `None` where it has.

    Args:
        hangs: what the scenario names as the file that hangs the driver; made while it samples.
        open_deadline_s: short only where the driver never answers.
    """
    environment = os.environ | {
        "LD_LIBRARY_PATH": str(library.parent),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-c", SAMPLE, str(hangs), str(open_deadline_s)]
    ran = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=300
    )
    rows = [line.rsplit(maxsplit=1) for line in ran.stdout.splitlines()]
    return [reason for name, reason in rows if name == device]
