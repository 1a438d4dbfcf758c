#!/usr/bin/env bash
# Podman's service without root speaks Docker's API, but `GET /info` does not list `name=rootless` among
# `SecurityOptions`, by which Docker's clients know an engine without root. It has a field of its own,
# `Rootless`, which Docker does not have.
#
# Runs the Podman of Debian 12 as a service of this user on a socket in a temporary folder, and removes
# the folder. Needs the package podman at the version below, curl and python3, and no root.
#
# Exit codes: 0 the behaviour was seen, 1 it has changed, 77 there is no such Podman, or this is root,
# any other: the service did not run.
set -euo pipefail

version=4.3.1
if [ "$(id -u)" = 0 ] || [ "$(podman --version 2> /dev/null)" != "podman version $version" ]; then
    echo "cannot be seen here: needs a user other than root, and Podman $version (of Debian 12)" >&2
    exit 77
fi

folder=$(mktemp -d /var/tmp/podman-finding-XXXXXX)
service=
trap 'kill $service 2> /dev/null || true; wait; rm -rf "$folder"' EXIT
# Without systemd, as in a minimal machine
cat > "$folder/containers.conf" << 'CONFIGURATION'
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
CONFIGURATION
export CONTAINERS_CONF=$folder/containers.conf XDG_RUNTIME_DIR=$folder TMPDIR=$folder
cd "$folder"
podman --storage-driver vfs --root "$folder/root" --runroot "$folder/run" --tmpdir "$folder/tmp" \
    system service --time 0 "unix://$folder/socket" > log 2>&1 &
service=$!
info() { curl --fail --silent --unix-socket socket http://engine/v1.41/info; }
for _ in $(seq 100); do if info > answer; then break; else sleep 0.1; fi; done

found=$(python3 - << 'PYTHON'
import json

info = json.load(open("answer"))
print("SecurityOptions", info["SecurityOptions"], "Rootless", info.get("Rootless"))
PYTHON
)
echo "Podman $version as user $(id -u): $found"

if [[ $found != *name=rootless* && $found == *"Rootless True" ]]; then
    echo "as before: only the field Rootless says that it runs without root"
else
    echo "changed: SecurityOptions should lack name=rootless, and Rootless should be True" >&2
    exit 1
fi
