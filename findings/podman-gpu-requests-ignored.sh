#!/usr/bin/env bash
# Podman's service speaks Docker's API, and ignores `HostConfig.DeviceRequests`, by which Docker's
# clients request GPUs: the container is created without a warning, has no such request, and starts
# without a GPU. Docker refuses to start it where there is none.
#
# Runs the Podman of Debian 12 as a service of its own on a socket in a temporary folder, with an image
# of one file, and removes the folder. Needs the package podman at the version below, curl, root.
#
# Exit codes: 0 the behaviour was seen, 1 it has changed, 77 there is no such Podman or no root, any
# other: the service did not run.
set -euo pipefail

version=4.3.1
if [ "$(id -u)" != 0 ] || [ "$(podman --version 2> /dev/null)" != "podman version $version" ]; then
    echo "cannot be seen here: needs root and Podman $version (Debian 12's package podman)" >&2
    exit 77
fi

folder=$(mktemp -d /var/tmp/podman-finding-XXXXXX)
service=
trap 'kill $service 2> /dev/null || true; wait; umount -q "$folder/root/overlay" || true
    rm -rf "$folder"' EXIT
# Without systemd, as in a minimal machine
cat > "$folder/containers.conf" << 'CONFIGURATION'
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
CONFIGURATION
if command -v runc > /dev/null; then echo 'runtime = "runc"' >> "$folder/containers.conf"; fi
export CONTAINERS_CONF=$folder/containers.conf TMPDIR=$folder
podman --root "$folder/root" --runroot "$folder/run" --tmpdir "$folder/tmp" \
    system service --time 0 "unix://$folder/socket" > "$folder/log" 2>&1 &
service=$!
api() {
    local path=$1
    shift
    curl --silent --unix-socket "$folder/socket" "http://engine/v1.41/$path" "$@"
}
for _ in $(seq 100); do if api _ping > /dev/null; then break; else sleep 0.1; fi; done

mkdir -p "$folder/image/bin"
cp /bin/true "$folder/image/bin/true" # it may fail for want of libraries: that it starts is enough
tar -C "$folder/image" -c . |
    api 'images/create?fromSrc=-&repo=made' -X POST --data-binary @- -H 'Content-Type: application/x-tar' \
        > /dev/null 2>> "$folder/log"
request='{"Image": "made", "Cmd": ["/bin/true"], "HostConfig": {"NetworkMode": "none",
    "DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}]}}'
created=$(api 'containers/create?name=made' -d "$request" -H 'Content-Type: application/json' -w '%{http_code}')
kept=$(api containers/made/json | grep -o '"DeviceRequests":[^,]*' || true)
started=$(api containers/made/start -X POST -w '%{http_code}')
api 'containers/made?force=1' -X DELETE > /dev/null
created=$(echo "$created" | tr -d '\n' | sed 's/"Id":"[0-9a-f]*",//')
echo "Podman $version, all GPUs requested: create $created, ${kept:-no DeviceRequests}, start $started"

if [[ $created == '{"Warnings":[]}201' && ${kept:-null} == *null && $started == 204 ]]; then
    echo "as before: the request for GPUs is ignored without a word"
else
    echo "changed: it should be created (201) without warnings and requests, and start (204)" >&2
    exit 1
fi
