"""Rule script: the same window read by our sampler and by nvidia-smi where the engine runs."""

import os

from llm_energy.system.processes import die_with_parent

die_with_parent(os.getppid())

from llm_energy.backends.runtime import BackendError  # noqa: E402
from llm_energy.system.errors import InputError  # noqa: E402
from llm_energy.system.scripting import rule_script  # noqa: E402
from llm_energy.validation.nvidia_smi_calibration import as_text, calibrate  # noqa: E402
from llm_energy.validation.nvidia_smi_output import NvidiaSmiError  # noqa: E402

with rule_script(snakemake, BackendError, InputError, NvidiaSmiError):
    path, found = calibrate(snakemake.params.spec)
    print(*as_text(found), f"Written to {path}", sep="\n", flush=True)
