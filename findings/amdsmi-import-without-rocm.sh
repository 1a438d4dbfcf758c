#!/usr/bin/env bash
# AMD's Python package for its GPUs, imported where ROCm's library is missing, prints two lines to
# standard output and then fails with a KeyError: neither `except ImportError` nor `except OSError`
# catches it, and a program whose output is read by another one has two lines too many.
#
# Installs a pinned public package into a temporary folder, imports it without this project's code,
# and removes the folder. Needs python3 with venv and a package index.
#
# Exit codes: 0 the behaviour was seen, 1 it has changed, 77 it cannot be seen on this machine, any
# other: the package could not be installed.
set -euo pipefail

if python3 -c 'import ctypes; ctypes.CDLL("libamd_smi.so")' 2> /dev/null ||
    [ -e /opt/rocm/lib/libamd_smi.so ]; then
    echo "cannot be seen here: this machine has libamd_smi.so" >&2
    exit 77
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps amdsmi==7.0.2

cat > "$folder/load.py" <<'PYTHON'
"""Import the package as a careful program does that can do without it."""

import sys

try:
    import amdsmi  # noqa: F401
except (ImportError, OSError):
    print("caught", file=sys.stderr)
except Exception as error:
    print(type(error).__name__, file=sys.stderr)
else:
    print("imported", file=sys.stderr)
PYTHON

ended=$(env -u ROCM_HOME -u ROCM_PATH "$folder/venv/bin/python" "$folder/load.py" \
    2>&1 > "$folder/printed")
lines=$(wc -l < "$folder/printed")
echo "amdsmi 7.0.2 without ROCm: $ended, $lines lines on standard output"

if [ "$ended" = KeyError ] && [ "$lines" -eq 2 ]; then
    echo "as before: it prints, and raises what no one expects of an import"
else
    echo "changed: it should print two lines and raise KeyError" >&2
    exit 1
fi
