#!/usr/bin/env bash
# The tests, in workers side by side. Arguments are pytest's, such as -m '' for those that are long too.
set -eu
cd "$(dirname "$0")/.."
# Three on two cores: most of the tests of whole workflows wait for other processes. A module stays in
# one worker, which makes its fixtures once; the longest ones come first.
exec .venv/bin/pytest --tx "${TEST_WORKERS:-3}*popen//python=tests/own_locks.sh" --dist loadfile \
  --no-loadscope-reorder --durations=25 "$@" tests </dev/null
