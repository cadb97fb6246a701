# SPDX-License-Identifier: MIT
# Sourced by the commands under tests/ with `root` set. Each may be the first that runs on a fresh machine.

state=${CHASQUI_STATE:-$root/.state}
python=$state/venv/bin/python
. "$root/compose/lib/packages.sh"

# prepare_machine: install the packages of Debian and of Python that are missing; quick when none is. Sets `why` when it fails.
prepare_machine() {
    local more=$state/log/packages-node.txt began=$SECONDS
    mkdir -p "$state/log"
    # A machine may have node from elsewhere, with which Debian's npm cannot be installed.
    if command -v node >/dev/null && command -v npm >/dev/null; then : >"$more"; else echo nodejs npm >"$more"; fi
    why="Debian packages: see $state/log/packages.log"
    install_packages "$state/log/packages.log" "$root/compose/packages.txt" "$root/tests/packages.txt" "$more" || return 1
    cmp -s "$root/tests/requirements.txt" "$state/venv/requirements.txt" && return 0
    why="Python packages: see $state/log/venv.log"
    {
        rm -rf "$state/venv" && /usr/bin/python3 -m venv "$state/venv" &&
            "$python" -m pip install --disable-pip-version-check --require-hashes -r "$root/tests/requirements.txt" &&
            cp "$root/tests/requirements.txt" "$state/venv/requirements.txt"
    } >"$state/log/venv.log" 2>&1 || { tail -n 15 "$state/log/venv.log" >&2; return 1; }
    echo "Python packages: done in $((SECONDS - began)) s"
}

# prepare_build: the release build, unless CHASQUI_BUILD names another.
prepare_build() {
    local log=$state/log/build-release.log
    [ -z "${CHASQUI_BUILD:-}" ] || return 0
    why="the build: see $log"
    {
        # compose/up configures it before the packages of the tests are there
        if ! grep -qs powerfs "$root/build/release/build.ninja"; then
            cmake -S "$root" --preset release "-DCHASQUI_PYTHON=$python"
        fi && cmake --build "$root/build/release"
    } >"$log" 2>&1 || { tail -n 15 "$log" >&2; return 1; }
}

# run_tool FILE ARGUMENTS...: run one of our Python programs, everything it needs being there.
run_tool() {
    { prepare_machine && prepare_build; } >&2 || { echo "$(basename "$1" .py): $why" >&2; exit 1; }
    exec "$python" "$@"
}
