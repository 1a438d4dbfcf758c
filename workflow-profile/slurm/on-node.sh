# Sourced on the node by the batch script of every job that workflow-profile/slurm/config.yaml submits,
# before the job's own Snakemake. It begins the run of this allocation, and ends it with the script.
trap '"$LLM_ENERGY_PYTHON" scripts/allocation.py end' EXIT
trap 'exit 143' INT TERM
"$LLM_ENERGY_PYTHON" scripts/allocation.py begin || exit 1
