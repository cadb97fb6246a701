#!/bin/sh
# SPDX-License-Identifier: MIT
# Debian 13 no longer has h2o. This adds Debian 12 to a Debian 13's package sources for that one library; everything else
# stays Debian 13's. Used by the Dockerfile and by tests/trixie; takes the mirror that the system has already.
set -eu
cd /etc/apt
for file in sources.list sources.list.d/debian.sources; do
    [ -s "$file" ] || continue
    case $file in
    *.sources) sed 's/trixie/bookworm/g' "$file" >sources.list.d/bookworm.sources ;;
    *) sed -n '/trixie/s/trixie/bookworm/gp' "$file" >sources.list.d/bookworm.list ;;
    esac
done
printf 'Package: *\nPin: release n=bookworm*\nPin-Priority: -1\n\nPackage: libh2o-*\nPin: release n=bookworm*\nPin-Priority: 500\n' \
    >preferences.d/bookworm
