#!/usr/bin/env bash
# Install the SLURM that tests/cluster starts: Debian's or Ubuntu's packages, daemons left off.
# Where that is impossible it says so and succeeds: the tests then skip with the same reason.
set -euo pipefail

for program in slurmctld slurmd munged slurmdbd mariadbd; do
    if ! PATH="$PATH:/usr/sbin:/sbin" command -v "$program" >/dev/null; then
        missing="${missing:-}$program "
    fi
done
if [ -z "${missing:-}" ]; then
    exit 0
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo -n)
fi
if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
    echo "no ${missing}here, and no apt-get with the rights to install them: the tests will skip"
    exit 0
fi
# No daemon of the packages is to start: the tests start their own, in a folder of their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod +x "$policy"
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
fi
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    slurm-wlm slurmdbd munge mariadb-server
