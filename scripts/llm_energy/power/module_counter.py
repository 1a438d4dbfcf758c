"""Energy counters that cover more than the GPU: on superchips, the whole module.

On GH200 the counter of the GPU counts the CPU and the memory of the module as well
(https://github.com/ml-energy/zeus/pull/172). Power is read of both scopes, so the series shows
which of them the counter follows.
"""

from statistics import fmean

from llm_energy.power.series import Samples

MODULE_MARGIN = 1.1
"""Power of the module over that of its GPU from which the two can be distinguished. Provisional."""


def counts_module(counter: Samples, gpu: Samples, module: Samples) -> bool:
    """Return True where an energy counter follows the power of the module, not that of its GPU.

    Args:
        counter: J, unwrapped; mean power is that of all its rises.
        gpu: instant power of the GPU; without any, a counter is believed to follow the module if
            it lies within `MODULE_MARGIN` of it.
        module: instant power of the module; without any there is none.
    """
    if len(counter) < 2 or not len(module):
        return False
    rises = (b - a for a, b in zip(counter.values, counter.values[1:], strict=False) if b > a)
    counted_watts = sum(rises) / (counter.times_s[-1] - counter.times_s[0])
    module_watts = fmean(module.values)
    if not len(gpu):
        return module_watts / MODULE_MARGIN <= counted_watts <= MODULE_MARGIN * module_watts
    gpu_watts = fmean(gpu.values)
    if module_watts < MODULE_MARGIN * gpu_watts:
        return False
    return abs(counted_watts - module_watts) < abs(counted_watts - gpu_watts)
