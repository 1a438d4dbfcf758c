#!/usr/bin/env bash
# Change the arithmetic of the sources in one place at a time (a mutant), run the tests of that place, and
# print how many mutants they noticed and which they did not. Arguments: parts as below; default: all.
# Outside of CI: it takes seconds for each of hundreds of mutants, and a survivor may be equivalent.
# With MUTATION_WORK=DIR the work stays there, and MUTATION_S=SECONDS ends a part after that time;
# the same command goes on with what is left of it. Changed sources and tests need another DIR.
set -eu
cd "$(dirname "$0")/.."
here=$PWD work=${MUTATION_WORK:-$(mktemp -d)}
[ "${MUTATION_WORK:-}" ] || trap 'rm -rf "$work"' EXIT

if [ ! -x "$work/venv/bin/mutmut" ]; then
  .venv/bin/python -m venv "$work/venv"
  "$work/venv/bin/pip" install --quiet mutmut==3.8.1
  .venv/bin/python -c 'import site; print(*site.getsitepackages())' \
    >"$(echo "$work"/venv/lib/python3*/site-packages)/tests.pth"
fi

for part in ${*:-stats window open arrivals loads server warmup power}; do
  case $part in # what is mutated, below scripts/, and the tests that must notice, below tests/
    stats) modules="llm_energy/stats/*" tests="llm_energy/stats" ;;
    window)
      modules=$(echo llm_energy/measurement/{window,window_drift,steadiness}.py)
      tests=$(echo llm_energy/measurement/test_{window,window_drift,steadiness}.py)
      ;;
    loads)
      modules=$(echo worker/{closed,open,recording,waves}.py)
      tests=$(echo worker/test_{closed,harness,open,open_stepping,recording,waves}.py)
      ;;
    open)
      modules=$(echo llm_energy/measurement/open_{queue,requests,window}.py)
      tests=$(cd tests && echo llm_energy/measurement/test_open_*.py)
      ;;
    arrivals) modules=worker/arrivals.py tests=worker/test_arrivals.py ;;
    server)
      modules=worker/serving/load.py tests=$(echo worker/serving/test_{load,faults}.py)
      ;;
    warmup)
      modules=$(echo worker/{warmup,steady,courses}.py)
      tests=$(echo worker/test_{warmup,steady,steady_arithmetic,courses}.py)
      ;;
    power)
      modules=$(echo llm_energy/power/{accounting,baseline,counter,counter_edges,device_account}.py
        echo llm_energy/power/{gates,integration,mirrors,module_counter,plausibility}.py
        echo llm_energy/power/{power_flags,power_range,sensor,series}.py)
      tests=$(echo llm_energy/power/test_{accounting,baseline,counter,counter_edges,device_account}.py
        echo llm_energy/power/test_{gates,integration,mirrors,module_counter,plausibility}.py
        echo llm_energy/power/test_{power_flags,refused_energy,sensor,series}.py)
      ;;
    *) echo "$0: no part $part: stats, window, open, arrivals, loads, server, warmup or power" >&2 && exit 2 ;;
  esac
  if [ ! -d "$work/$part" ]; then
    mkdir "$work/$part.new"
    git ls-files -z | xargs -0 cp --parents -t "$work/$part.new"
    mv "$work/$part.new" "$work/$part"
    cp -r scripts "$work/$part/src" # mutmut strips no other prefix from the names of modules
    # mutmut leaves properties as they are: make them functions.
    find "$work/$part/src" -name '*.py' -exec sed -i -zE 's/    @(cached_)?property\n    def (\w+)\(self\)/    \2 = \1property(lambda self: self._get_\2())\n\n    def _get_\2(self)/g' {} +
    sed -i '/^def pytest_configure/,$d' "$work/$part/tests/conftest.py" # it would look for engines again for each mutant
  fi
  cd "$work/$part"
  cat >pyproject.toml <<EOF
[tool.pytest.ini_options]
pythonpath = ["src", "."]
addopts = "-m 'not long' -p no:randomly"
markers = ["integration: ", "long: ", "engine: "]

[tool.mutmut]
source_paths = ["src"]
only_mutate = [$(printf '"src/%s", ' $modules)]
pytest_add_cli_args_test_selection = [$(printf '"tests/%s", ' $tests)]
also_copy = [$(printf '"%s", ' [!m]*)]
# Messages, warnings and checks of equal lengths are no arithmetic.
do_not_mutate_patterns = ["raise ", "errstate", "strict="]
EOF
  env -u PYTHONDONTWRITEBYTECODE timeout "${MUTATION_S:-0}" \
    "$work/venv/bin/mutmut" run --max-children 1 >log 2>&1 </dev/null || {
    status=$?
    [ $status != 124 ] || { echo "# $part: unfinished, call again" && exit 3; }
    tail -n 30 log >&2 && exit 1
  }
  "$work/venv/bin/mutmut" export-cicd-stats >/dev/null
  echo "# $part: $(tr -d ' {}\n"' <mutants/mutmut-cicd-stats.json)"
  "$work/venv/bin/mutmut" results | while IFS=' :' read -r mutant _; do
    "$work/venv/bin/mutmut" show "$mutant"
  done
  cd "$here"
done
