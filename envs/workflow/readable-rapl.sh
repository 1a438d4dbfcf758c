#!/bin/sh
# Let the user who calls this with sudo read the CPU's energy counters (RAPL), from now on and after
# every boot:
#
#     sudo envs/workflow/readable-rapl.sh
#
# It makes the group rapl, adds the user to it, and has udev give that group the counters. Only root
# reads them otherwise, because they help to spy on what others compute (CVE-2020-8694).
set -eu
rules=${RULES:-/etc/udev/rules.d/60-llm-energy-rapl.rules}
user=${SUDO_USER:-}
if [ -z "$user" ]; then
  echo "readable-rapl: start it with sudo as the user who measures" >&2
  exit 1
fi
groupadd --force --system rapl
usermod --append --groups rapl "$user"
cat >"$rules" <<'RULE'
ACTION=="add", SUBSYSTEM=="powercap", KERNEL=="intel-rapl:*", RUN+="/bin/chgrp rapl /sys%p/energy_uj", RUN+="/bin/chmod g+r /sys%p/energy_uj"
RULE
udevadm control --reload
udevadm trigger --action=add --subsystem-match=powercap
echo "readable-rapl: the group rapl reads the counters; $user is in it from the next login on"
