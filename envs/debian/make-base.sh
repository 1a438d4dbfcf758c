#!/bin/bash
# Make the base image `debian`: Debian's own packages and nothing else, for hosts without a registry.
#
#   sudo envs/debian/make-base.sh [IMAGE]
#   sudo MIRROR=http://mirror.example/debian envs/debian/make-base.sh
#
# MIRROR is any mirror of Debian's archive, such as one inside a closed network or a day of
# snapshot.debian.org. It leaves no trace in the image. The image is llm-energy/debian:HASH unless
# another name is given; HASH stands for the lines of this file that are no comments, and is part of
# the identity of every environment that is built on it: a change here measures those anew.
set -euo pipefail

fail() { echo "make-base.sh: $1" >&2; exit 1; }
suite=bookworm
packages=python3,python3-venv,python3-pip,ca-certificates,libgomp1,libnuma1,libstdc++6
archive=http://deb.debian.org/debian

hash=$(sed 's/[[:space:]]*$//; /^[[:space:]]*#/d; /^$/d' "$0" | head -c -1 | sha256sum | cut -c 1-64)
image=${1:-llm-energy/debian:${hash:0:12}}

PATH=$PATH:/usr/sbin:/sbin
command -v docker > /dev/null || fail "docker is missing: sudo apt-get install -y docker.io"
command -v debootstrap > /dev/null || fail "debootstrap is missing: sudo apt-get install -y debootstrap"
[ "$(id -u)" = 0 ] || fail "debootstrap needs root: sudo envs/debian/make-base.sh"

# Not /tmp, which may be small, or mounted without devices or execution.
folder=$(mktemp -d /var/tmp/llm-energy-base.XXXXXXXX)
trap 'rm -rf --one-file-system "$folder"' EXIT
trap 'exit 143' INT TERM
debootstrap --variant=minbase --include="$packages" "$suite" "$folder" "${MIRROR:-$archive}"

# What comes from this host or was needed for the installation only.
rm -rf "$folder"/etc/{resolv.conf,hostname} "$folder"/var/cache/apt/*.bin "$folder"/var/log/*.log
rm -rf "$folder"/var/{cache/apt/archives,lib/apt/lists}/*
cat > "$folder/etc/apt/sources.list" <<END
deb $archive $suite main
deb $archive $suite-updates main
deb $archive-security $suite-security main
END

tar -C "$folder" --one-file-system --numeric-owner -c . | docker import \
    --change "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
    --change "LABEL org.llm-energy.base=debian:$hash" - "$image"
