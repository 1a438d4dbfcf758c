#!/usr/bin/env bash
# All tests, as two pytest runs side by side: each waits for other processes more than it computes,
# and together they take half the time on two cores.
set -u
cd "$(dirname "$0")/.."
apart=(tests/integration/test_{change_matrix,lifetime,mistakes}.py)

log=$(mktemp)
.venv/bin/pytest tests/test_*.py tests/llm_energy tests/nvml_simulator tests/worker "${apart[@]}" >"$log" 2>&1 &
other=$!
trap 'kill "$other"; exit 130' INT TERM
.venv/bin/pytest tests/integration "${apart[@]/#/--ignore=}"
status=$?
wait "$other" || status=$?
cat "$log"
rm "$log"
exit "$status"
