"""Part c: what rate our sampler delivers, and what it costs, at 10 and 100 Hz.

    python -m tests.gpu.sampler_cost --python PYTHON [--quick]

The first GPU is under matrix products meanwhile: the driver answers more slowly then.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median

from llm_energy.power.gpu_driver import open_gpus
from llm_energy.power.meter import Device
from llm_energy.power.nvml import NvmlMeter
from llm_energy.power.sampler import Sampler
from llm_energy.validation.gpu_sensors import LoadError, load_on
from llm_energy.validation.kit_lines import Line, judged
from llm_energy.validation.nvidia_smi_beside import cpu_of, sampler_thread

RATES_HZ = (10.0, 100.0)
DELIVERED = 0.95
"""Least share of the readings that were due. Provisional."""


def lines(python: str, duration_s: float) -> Iterator[Line]:
    """Yield one line for each rate."""
    meter = open_gpus()
    if not isinstance(meter, NvmlMeter):
        yield Line("FAIL", "sampler", "NVML shows no GPU")
        return
    try:
        device = meter.devices[0]
        with load_on(device.id, python=python):
            for rate_hz in RATES_HZ:
                yield cost_line(meter, device, rate_hz=rate_hz, duration_s=duration_s)
    except LoadError as error:
        yield Line("FAIL", "load", str(error))
    finally:
        meter.close()


def cost_line(meter: NvmlMeter, device: Device, *, rate_hz: float, duration_s: float) -> Line:
    """Sample for some time, and say what was delivered at what cost."""
    sampler = Sampler([meter], rate_hz=rate_hz, only=device)
    with sampler:
        thread = sampler_thread()
        assert thread is not None
        before_s, started_s = cpu_of(thread), time.monotonic()
        time.sleep(duration_s)
        after_s, ended_s = cpu_of(thread), time.monotonic()
    readings = [r for r in sampler.series().readings if started_s <= r.monotonic_s <= ended_s]
    moments = [started_s, *(reading.monotonic_s for reading in readings), ended_s]
    longest_s = max(b - a for a, b in pairwise(moments))
    delivered_hz = rate_of(moments[1:-1])
    share = "unknown"
    if before_s is not None and after_s is not None:
        share = f"{(after_s - before_s) / (ended_s - started_s):.2%}"
    text = f"{delivered_hz:.1f} Hz delivered (to be at least {DELIVERED:.0%}), longest gap "
    text += f"{1e3 * longest_s:.0f} ms, {share} of a core"
    if readings:
        text += f", a reading takes {1e3 * median(r.read_s for r in readings):.2f} ms"
    return judged(f"sampler at {rate_hz:g} Hz", delivered_hz >= DELIVERED * rate_hz, text)


def rate_of(moments_s: Sequence[float]) -> float:
    """Return the rate in Hz between the first moment and the last: how many fall into a span also
    depends on where it begins. Fewer than two have no rate, and give 0."""
    if len(moments_s) < 2:
        return 0.0
    return (len(moments_s) - 1) / (moments_s[-1] - moments_s[0])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", required=True)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    for line in lines(given.python, 2.0 if given.quick else 5.0):
        print(line, flush=True)


if __name__ == "__main__":
    main()
