"""Rule script: the same window read by our sampler and by nvidia-smi where the engine runs."""

import os

from llm_energy.processes import die_with_parent

die_with_parent(os.getppid())

from llm_energy.backends.runtime import BackendError  # noqa: E402
from llm_energy.calibration.nvidia_smi import calibrate, told  # noqa: E402
from llm_energy.inputs.errors import InputError  # noqa: E402
from llm_energy.power.nvidia_smi import NvidiaSmiError  # noqa: E402
from llm_energy.scripting import rule_script  # noqa: E402

with rule_script(snakemake, BackendError, InputError, NvidiaSmiError):
    path, found = calibrate(snakemake.params.experiment)
    print(*told(found), f"Written to {path}", sep="\n", flush=True)
