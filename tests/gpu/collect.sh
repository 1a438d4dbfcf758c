#!/usr/bin/env bash
# Collect, on a machine with network, the wheels that a machine with a GPU and without network lacks.
#   tests/gpu/collect.sh FOLDER              for Python 3.12 on Linux, x86-64
#   PYTHON_VERSION=3.11 IMAGE=list.txt tests/gpu/collect.sh FOLDER
# IMAGE lists the packages that the machine has. Versions and hashes are those of
# envs/workflow/requirements.lock. Needs the workflow's environment (make setup).
set -euo pipefail
folder=${1:?usage: tests/gpu/collect.sh FOLDER}
version=${PYTHON_VERSION:-3.12}
limit_mib=40
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")/../.."
image=${IMAGE:-tests/gpu/image.txt}
python=.venv/bin/python
[ -x "$python" ] || { echo "collect: .venv is missing; make it: make setup" >&2; exit 2; }
[ -z "$(ls -A "$folder")" ] || { echo "collect: $folder is not empty; name another folder" >&2; exit 2; }

wanted=$(mktemp)
trap 'rm -f "$wanted"*' EXIT
"$python" tests/gpu/lacking.py "$version" "$image" <envs/workflow/requirements.lock >"$wanted"
platforms=()
# pip matches the number of glibc exactly; these are the ones that wheels are built for.
for glibc in 2_5 2_12 2_17 2_24 2_26 2_27 2_28 2_31 2_34 2_35; do
  platforms+=(--platform "manylinux_${glibc}_x86_64")
done
platforms+=(--platform manylinux2014_x86_64 --platform manylinux2010_x86_64 --platform manylinux1_x86_64)
pip=("$python" -m pip --disable-pip-version-check)
source_only='^connection-pool==' # published without a wheel; pure Python
grep -vE "$source_only" "$wanted" >"$wanted.wheels"
grep -E "$source_only" "$wanted" >"$wanted.sources"
"${pip[@]}" download -q --no-deps --only-binary=:all: --implementation cp \
  --python-version "$version" "${platforms[@]}" --require-hashes --dest "$folder" -r "$wanted.wheels"
"${pip[@]}" wheel -q --no-deps --require-hashes --wheel-dir "$folder" -r "$wanted.sources"
bytes=$(cat "$folder"/*.whl | wc -c)
printf '%s wheels for Python %s, %s MiB (limit %s MiB), in %s\n' \
  "$(ls "$folder" | wc -l)" "$version" "$((bytes / 1048576 + 1))" "$limit_mib" "$folder"
[ "$bytes" -le $((limit_mib * 1048576)) ] || { echo "collect: too large" >&2; exit 1; }
