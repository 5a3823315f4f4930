# SPDX-License-Identifier: Apache-2.0
# Shared by the scripts beside it (sourced, not run): how they speak, and how they install Debian packages.
# shellcheck shell=bash

# One step, in plain words, while it happens.
say() { printf '==> %s\n' "$*"; }

# A detail below a step.
note() { printf '    %s\n' "$*"; }

# What is missing, then how to get it; the end of the script.
die() {
    printf 'zun: %s\n' "$1" >&2
    shift
    local line
    for line in "$@"; do printf '     %s\n' "$line" >&2; done
    exit 1
}

is_root() { [ "$(id -u)" -eq 0 ]; }

# runs PID: a process that has ended but was not waited for has no command line any more.
runs() { [ -n "$(tr -d '\0' 2>/dev/null <"/proc/$1/cmdline")" ]; }

systemd_runs() { [ -d /run/systemd/system ]; }

# apt_install WHY PACKAGE…: install Debian packages, or say how to. Their services are not started
# (a policy-rc.d for the time of the installation sees to that): whoever needs one starts it.
apt_install() {
    local why=$1 log policy=/usr/sbin/policy-rc.d made_policy=no rc=0
    shift
    command -v apt-get >/dev/null || die "$why, and this is no Debian (there is no apt-get)." \
        "Install the equivalent of: $*"
    is_root || die "$why, and installing it takes root." \
        "Run this again as root, or ask an administrator for: apt-get install -y $*"
    note "apt-get install $*"
    log=$(mktemp)
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
        made_policy=yes
    fi
    apt_get install -y --no-install-recommends "$@" >"$log" 2>&1 || rc=$?
    if [ $rc -ne 0 ]; then  # an image without package lists, or lists that are too old
        note "package lists may be old: apt-get update"
        rc=0
        { apt_get update && apt_get install -y --no-install-recommends "$@"; } >"$log" 2>&1 || rc=$?
    fi
    [ $made_policy = yes ] && rm -f "$policy"
    if [ $rc -ne 0 ]; then
        tail -n 15 "$log" >&2
        rm -f "$log"
        die "apt-get could not install: $*" \
            "Its last words are above. Without network, give this machine a Debian mirror" \
            "(/etc/apt/sources.list) and try again."
    fi
    rm -f "$log"
}

apt_get() { DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 "$@" </dev/null; }
