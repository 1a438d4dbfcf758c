"""Begins or ends the run of a Slurm job on its node: see workflow-profile/slurm/on-node.sh."""

import os
import sys

from llm_energy.system.processes import ProcessId
from llm_energy.workflow import allocation

if sys.argv[1:] == ["begin"]:
    owner = ProcessId.of(os.getppid())
    assert owner is not None  # it waits for this process
    try:
        allocation.begin(owner)
    except allocation.AllocationError as error:
        sys.exit(str(error))
else:
    allocation.end()
