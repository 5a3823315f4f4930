# SPDX-License-Identifier: Apache-2.0
# Shared by ensure-containerd, stop-containerd, run and clean (sourced after say.sh): where our own containerd keeps its things.
# It has nothing in common with one that runs here already, be it Docker's or a cluster's.
# shellcheck shell=bash disable=SC2034

readonly CONTAINERD_ROOT=${ZUN_CONTAINERD_ROOT:-/var/lib/zun-containerd}
readonly CONTAINERD_STATE=${ZUN_CONTAINERD_STATE:-/run/zun-containerd}
readonly CONTAINERD_BRIDGE=${ZUN_CONTAINERD_BRIDGE:-zun-cri0}
readonly CONTAINERD_SUBNET=${ZUN_CONTAINERD_SUBNET:-10.97.0.0/16}
readonly CONTAINERD_BIN_DIR=$CONTAINERD_ROOT/cni/bin
readonly CONTAINERD_CONF_DIR=$CONTAINERD_ROOT/cni/net.d
readonly CONTAINERD_SOCKET=$CONTAINERD_STATE/containerd.sock
readonly CONTAINERD_PID_FILE=$CONTAINERD_STATE/zun.pid
readonly CONTAINERD_LOG=$CONTAINERD_ROOT/containerd.log
readonly CONTAINERD_MASQUERADE=(POSTROUTING -s "$CONTAINERD_SUBNET" ! -d "$CONTAINERD_SUBNET" -m comment --comment "$CONTAINERD_BRIDGE" -j MASQUERADE)
readonly CONTAINERD_LOOPBACK=(PREROUTING -i "$CONTAINERD_BRIDGE" -d 127.0.0.0/8 -m comment --comment "$CONTAINERD_BRIDGE" -j DROP)

# containerd_pid: print the pid of our containerd; false when it does not run.
containerd_pid() {
    local pid command
    pid=$(cat "$CONTAINERD_PID_FILE" 2>/dev/null) && [ -n "$pid" ] || return 1
    command=$(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline") || return 1
    case $command in
        *"containerd --config $CONTAINERD_ROOT/config.toml "*) echo "$pid" ;;
        *) return 1 ;;
    esac
}

containerd_answers() { ctr --address "$CONTAINERD_SOCKET" --connect-timeout 1s version >/dev/null 2>&1; }
