#!/bin/sh
# The interpreter of one test worker, with locks of devices of its own: else workers that measure on
# engines that sleep would wait for each other, as two campaigns of one host must.
python=$(dirname "$0")/../.venv/bin/python
unshare --mount true 2>/dev/null || exec "$python" "$@" # only root may
exec unshare --mount sh -c 'mount -t tmpfs -o mode=1777 locks /run/lock && exec "$@"' sh "$python" "$@"
