#!/usr/bin/env bash
# VictoriaMetrics lists the series since a time by `/api/v1/series?start=`. Zero, which is the start of
# all time, counts as no time at all: then only series with samples of about today are listed. One
# second, and even a millisecond, lists all. `/api/v1/export?start=0` exports all.
#
# Unpacks a pinned public package of Debian 12 into a temporary folder, runs the server from there on
# the loopback interface, and removes the folder. Needs apt-get, dpkg-deb and curl; no root.
#
# Exit codes: 0 the behaviour was seen, 1 it has changed, 77 the package is not in this system's
# archive, any other: the server did not run.
set -euo pipefail

package=victoria-metrics version=1.79.5+ds1-2+b5 port=${PORT:-18428}
folder=$(mktemp -d)
server=
trap 'kill $server 2> /dev/null || true; wait; rm -rf "$folder"' EXIT
cd "$folder"
if ! apt-get download --quiet=2 "$package=$version" 2> refusal; then
    echo "cannot be seen here: $(tail -n 1 refusal)" >&2
    exit 77
fi
dpkg-deb --extract ./*.deb .

usr/bin/victoria-metrics -storageDataPath=data -retentionPeriod=10y \
    -httpListenAddr="127.0.0.1:$port" > log 2>&1 &
server=$!
api="http://127.0.0.1:$port"
curl --fail --silent --retry 50 --retry-delay 1 --retry-connrefused "$api/health" > /dev/null

now=$(date +%s)
for days in 0 10; do
    echo "made{days=\"$days\"} 1 $(((now - 60 - days * 86400) * 1000))" |
        curl --fail --silent --data-binary @- "$api/api/v1/import/prometheus"
done
curl --fail --silent "$api/internal/force_flush"

# The ages in days of the series that an answer has, in order
ages() {
    curl --fail --silent "$api/api/v1/$1&match%5B%5D=made" |
        grep -o '"days":"[0-9]*"' | tr -dc '0-9\n' | sort -n | xargs
}
zero=$(ages 'series?start=0') small=$(ages 'series?start=0.001') one=$(ages 'series?start=1')
exported=$(ages 'export?start=0')
echo "victoria-metrics $version, series of 0 and 10 days ago"
echo "series since 0: $zero; since 0.001: $small; since 1: $one; exported since 0: $exported"

if [ "$zero/$small/$one/$exported" = "0/0 10/0 10/0 10" ]; then
    echo "as before: start=0 is taken for no start, and older series are not listed"
else
    echo "changed: start=0 should list 0 alone, all others 0 and 10" >&2
    exit 1
fi
