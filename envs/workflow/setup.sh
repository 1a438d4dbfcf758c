#!/usr/bin/env bash
# Make or refresh the workflow's virtual environment from its lock files.
#   envs/workflow/setup.sh           what a campaign needs
#   envs/workflow/setup.sh --tests   what the tests and checks need too
#   envs/workflow/setup.sh --slurm   what spreads a campaign over a Slurm cluster too
set -euo pipefail
cd "$(dirname "$0")/../.."

# Snakemake starts the interpreter of .venv unquoted, and takes braces for a format.
if [[ $PWD =~ [][:space:]\"\'\`\$\&\;\|\(\)\<\>\*\?\{\}\\#\!~:[] ]]; then
  echo "setup: $PWD: jobs cannot start below a path with '${BASH_REMATCH[0]}'; move the folder to a path of letters, digits, '.', '_' and '-'" >&2
  exit 1
fi

missing() {
  echo "setup: $1; on Debian or Ubuntu: sudo apt-get install -y $2" >&2
  exit 1
}

python=""
for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
  if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
[ -n "$python" ] || missing "Python 3.11 or newer is needed (or name one: PYTHON=/path/to/python3 make setup)" "python3"
"$python" -c 'import venv, ensurepip' 2>/dev/null || missing "Python's venv module is missing" "python3-venv"
ldconfig=$(command -v ldconfig || echo /sbin/ldconfig)
# Not `ldconfig -p | grep -q`: grep leaves at the first match, and pipefail takes ldconfig's SIGPIPE
# for a missing library now and then.
libraries=$("$ldconfig" -p)
[[ $libraries == *libgomp.so.1* ]] || missing "the OpenMP library that inference engines use is missing" "libgomp1"

locks=(envs/workflow/requirements.lock)
stamp=.venv/.requirements
case ${1:-} in
  --tests)
    locks+=(envs/workflow/development.lock)
    stamp=.venv/.development
    ;;
  --slurm)
    locks+=(envs/workflow/slurm.lock)
    stamp=.venv/.slurm
    ;;
esac
wanted=$("$python" --version; cat "${locks[@]}")
# The commands of a venv name its interpreter by the path at which it was made, in a line of #! or,
# where that is too long, of a shell: repair a folder that was moved or copied.
interpreter="^(#!|'''exec' \"?)([^\" ]*)/(python[0-9.]*)(\"?.*)$"
if [ -f .venv/bin/snakemake ]; then
  made=$(sed -nE "1,2s:$interpreter:\2:p" .venv/bin/snakemake)
  if ! [ "$made" -ef .venv/bin ]; then
    echo "setup: .venv was made in another folder: adapting it to $PWD" >&2
    "$python" -m venv --without-pip .venv
    bin=$(cd .venv/bin && pwd -P)
    grep -lIE "$interpreter" .venv/bin/* | xargs -r sed -i -E "1,2s:$interpreter:\1$bin/\3\4:"
  fi
fi
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
  exit 0
fi

echo "setup: installing the pinned packages of ${locks[*]} into .venv" >&2
fail() {
  echo "setup: $1" >&2
  exit 1
}
# A venv that was left half-made, on a full disk say, is made anew.
.venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear .venv ||
  fail ".venv could not be made; is the disk full? (df -h .)"
arguments=()
for lock in "${locks[@]}"; do arguments+=(-r "$lock"); done
.venv/bin/python -m pip install -qq --no-compile --disable-pip-version-check --require-hashes "${arguments[@]}" ||
  fail "pip failed, as told above; check the network, PIP_INDEX_URL and the free disk space, then start again"
printf '%s' "$wanted" >"$stamp"
