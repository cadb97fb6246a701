# SPDX-License-Identifier: MIT
# install_packages LOG FILE...: install the Debian packages named in the files, those that are missing; quick when none is.

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "packages: neither root nor sudo: cannot run $*" >&2
        return 1
    fi
}

package_names() { # FILE...: the names, comments taken away
    sed 's/#.*//' "$@" | tr -s ' \t\n' '\n' | sed '/^$/d'
}

packages_missing() { # names on stdin; prints those not installed
    while read -r name; do
        dpkg-query -W -f '${Status}\n' "$name" 2>/dev/null | grep -q '^install ok installed$' || echo "$name"
    done
}

install_packages() {
    local log=$1 missing began=$SECONDS
    shift
    missing=$(package_names "$@" | packages_missing)
    [ -n "$missing" ] || return 0
    mkdir -p "$(dirname "$log")"
    exec 9>>"$log.lock"
    if ! flock -n 9; then
        echo "packages: another one installs them: waiting until it is done"
        flock 9
        missing=$(package_names "$@" | packages_missing)
        [ -n "$missing" ] || { exec 9>&-; return 0; }
    fi
    echo "packages: installing $(echo "$missing" | wc -l): $(echo "$missing" | tr '\n' ' ')"
    {
        # We make a database cluster of our own; Debian's package would start one on the usual port.
        if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
            as_root mkdir -p /etc/postgresql-common &&
                echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.conf
        fi
        as_root apt-get update &&
            # shellcheck disable=SC2086  # names, to be split
            as_root env DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends \
                -o Dpkg::Options::=--force-confold $missing
    } >"$log" 2>&1 || {
        tail -n 15 "$log" >&2
        echo "packages: apt-get failed; whole log: $log" >&2
        return 1
    }
    exec 9>&- # or whatever is started from here on would hold it
    echo "packages: done in $((SECONDS - began)) s"
}
