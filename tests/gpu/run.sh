#!/usr/bin/env bash
# The evidence that a machine with a GPU gives in six minutes (docs/gpu-acceptance.md):
#   tests/gpu/run.sh --python PYTHON [options]
#     --python PYTHON     interpreter with torch and transformers; nothing is installed into it
#     --wheels FOLDER     what tests/gpu/collect.sh made: an environment is made from it and from
#                         PYTHON's packages, without network; else the checkout's .venv is used
#     --out FOLDER        gets log.txt, lines.json, report.html and two archives
#     --architecture NAME smollm2-1.7b (default) or qwen3-8b, with random weights
#     --seconds N         for all of it; 360. With more, each part may take longer in proportion
#     --quick             every part at its shortest, to see that it runs
#     --change-settings   also set the power limit to what it is: never on a machine of others
#     --rehearse          on a simulated GPU, in a network namespace without network
# Exit code: 0 no line failed, 1 one did, 2 it could not begin.
set -euo pipefail
SECONDS=0
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
given=("$@")
python="" wheels="" out="" architecture=smollm2-1.7b seconds=360 rehearse=""
more=()
refuse() {
  echo "tests/gpu/run.sh: $1" >&2
  exit 2
}
while [ $# -gt 0 ]; do
  case $1 in
    --python) python=${2:-} && shift 2 ;;
    --wheels) wheels=${2:-} && shift 2 ;;
    --out) out=${2:-} && shift 2 ;;
    --architecture) architecture=${2:-} && shift 2 ;;
    --seconds) seconds=${2:-} && shift 2 ;;
    --quick | --change-settings) more+=("$1") && shift ;;
    --rehearse) rehearse=1 && shift ;;
    *) refuse "unknown option $1; the options stand at the top of the script" ;;
  esac
done
[ -n "$python" ] || refuse "name an interpreter that has torch and transformers: --python PYTHON"
python=$(command -v "$python") || refuse "there is no such interpreter; correct --python"
if [ -n "$rehearse" ] && [ -z "${GPU_REHEARSAL_WITHOUT_NETWORK:-}" ]; then
  export GPU_REHEARSAL_WITHOUT_NETWORK=1
  exec unshare --map-root-user --net "$here/run.sh" "${given[@]}"
fi
out=${out:-$root/results/gpu-evidence-$(date -u +%Y%m%d-%H%M%S)}
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/gpu-evidence.XXXXXX")
child=""
clean_up() {
  # In the background, so that this shell hears of its own end at once and can end them.
  [ -z "$child" ] || kill "$child" 2>/dev/null && wait "$child" || true
  rm -rf --one-file-system "$work"
}
trap clean_up EXIT
trap 'exit 143' INT TERM
unset PYTHONDONTWRITEBYTECODE # the environment is imported from ten times
exec > >(tee -a "$out/log.txt") 2>&1

echo "$(date -u +%FT%TZ) tests/gpu/run.sh ${given[*]}"
echo "code: $(git -C "$root" describe --always --dirty 2>/dev/null || echo 'not under git')"
"$python" --version
# From a cold disk torch takes half a minute; later it is in memory.
"$python" -c 'import torch, transformers; print("torch", torch.__version__, "transformers", transformers.__version__)' &
child=$!

tree=$work/tree
mkdir -p "$tree"
(cd "$root" && tar -cf - --exclude=__pycache__ Snakefile workflow workflow-profile rules scripts \
  config envs tests pyproject.toml README.md LICENSE CITATION.cff CHANGELOG.md) | tar -xf - -C "$tree"
cd "$tree"
if [ -n "$wheels" ]; then
  wheels=$(cd "$root" && cd "$wheels" && pwd) || refuse "--wheels: there is no folder $wheels"
  "$python" -m venv --without-pip .venv
  # PYTHON's packages come after those of the wheels. A venv's own option takes those of the
  # interpreter below, which is another one where PYTHON is in a venv itself.
  "$python" -c '
import sys
found = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
print(*(f"import site; site.addsitedir({path!r})" for path in found), sep="\n")
' >"$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/below.pth"
  "$python" -m pip --python .venv/bin/python install -q --disable-pip-version-check \
    --no-index --no-deps --no-compile "$wheels"/*.whl
else
  [ -x "$root/.venv/bin/python" ] || refuse "there is no .venv; make setup, or name --wheels"
  ln -s "$root/.venv" .venv
fi
if [ -n "$rehearse" ]; then
  architecture=tiny
  simulated=$(.venv/bin/python -m tests.gpu.rehearsal "$work/simulated" "$python")
  while IFS= read -r variable; do export "${variable?}"; done <<<"$simulated"
  python=$work/simulated/bin/python
fi
wait "$child" || refuse "$python cannot import torch and transformers, see above"
child=""
echo "ready after $SECONDS s"
export PYTHONPATH=scripts:. PYTHONUNBUFFERED=1
.venv/bin/python -m tests.gpu.evidence --python "$python" --architecture "$architecture" \
  --out "$out" --seconds "$((seconds - SECONDS))" ${more[@]+"${more[@]}"} &
child=$!
wait "$child"
