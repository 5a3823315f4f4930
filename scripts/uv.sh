# SPDX-License-Identifier: Apache-2.0
# Shared by the scripts that make virtual environments (sourced after say.sh, with $root set): gets uv, runs uv.
# shellcheck shell=bash disable=SC2034,SC2154

readonly UV_VERSION=0.13.8
readonly UV=$root/.cache/uv/bin/uv

# Trust what this machine trusts, for a proxy may show a certificate that only its administrator knows.
readonly SYSTEM_CERTIFICATES=/etc/ssl/certs/ca-certificates.crt
if [ -r $SYSTEM_CERTIFICATES ]; then
    export PIP_CERT=${PIP_CERT:-$SYSTEM_CERTIFICATES} SSL_CERT_FILE=${SSL_CERT_FILE:-$SYSTEM_CERTIFICATES}
fi

# ensure_uv: have that version of uv. Needs a Python of 3.11 or later that can make virtual environments.
ensure_uv() {
    if [ "$("$UV" --version 2>/dev/null | cut -d' ' -f2)" = "$UV_VERSION" ]; then return; fi
    local python log
    command -v python3 >/dev/null || apt_install "Python is missing" python3 python3-venv
    python=$(newest_python) || die "Python 3.11 or later is needed; this machine has $(python3 --version 2>&1)." \
        "Debian 12 and later have it (apt-get install python3 python3-venv)."
    "$python" -c 'import ensurepip, venv' 2>/dev/null || apt_install "Python cannot make virtual environments" python3-venv
    say "Installing uv $UV_VERSION into .cache/uv"
    log=$(mktemp)
    rm -rf "$root/.cache/uv"
    if ! { "$python" -m venv "$root/.cache/uv" &&
        "$root/.cache/uv/bin/python" -m pip install -q --disable-pip-version-check "uv==$UV_VERSION"; } >"$log" 2>&1; then
        tail -n 15 "$log" >&2
        rm -rf "$log" "$root/.cache/uv"
        die "uv could not be installed from PyPI." \
            "Its last words are above. This machine must reach https://pypi.org (a proxy goes in HTTPS_PROXY)."
    fi
    rm -f "$log"
}

# The first Python that is new enough. The unversioned one first: it is what the system's packages complete.
newest_python() {
    local name
    for name in python3 python3.11 python3.12 python3.13 python3.14; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    return 1
}

# Only a Python of this machine: one downloaded from elsewhere would be one more thing to trust and to reach.
run_uv() { UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV='' "$UV" --quiet "$@" </dev/null; }

# pinned_venv NAME WHAT: .cache/NAME-venv holds exactly what tests/NAME/requirements.txt pins; WHAT says what that is.
# For programs that the tests use and whose dependencies must not meet ours.
pinned_venv() {
    local venv=$root/.cache/$1-venv pins=$root/tests/$1/requirements.txt what=$2 stamp wanted
    stamp=$venv/.synced
    wanted=$({ printf '%s\n' "$venv"; cat "$pins"; } | sha256sum)
    if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && "$venv/bin/python" -c '' 2>/dev/null; then
        note "the environment for $what is up to date"
        return
    fi
    ensure_uv
    say "Installing $what into ${venv#"$root/"}"
    { run_uv venv --clear --python "$(newest_python)" "$venv" &&
        run_uv pip sync --require-hashes --python "$venv/bin/python" "$pins"; } ||
        die "The environment for $what could not be made." \
            "Above is why. This machine must reach https://pypi.org (a proxy goes in HTTPS_PROXY)."
    printf '%s\n' "$wanted" >"$stamp"
}
