# SPDX-License-Identifier: Apache-2.0
# Shared by run, stop and clean (sourced after say.sh): where the local service keeps its things, and whether it runs.
# shellcheck shell=bash disable=SC2034,SC2154

readonly PORT=${ZUN_PORT:-9517}
readonly URL=http://127.0.0.1:$PORT
if [ -n "${ZUN_STATE_DIR:-}" ]; then STATE_DIR=$ZUN_STATE_DIR
elif [ "$(id -u)" -eq 0 ]; then STATE_DIR=/var/lib/zun
else STATE_DIR=$HOME/.local/share/zun; fi
readonly STATE_DIR
readonly PID_FILE=$STATE_DIR/zund.pid
readonly LOG_FILE=$STATE_DIR/zund.log

# service_pid: print the pid of the service that scripts/run started here; false when it does not run. The command
# line is compared too, for the number in an old file may belong to another process by now.
service_pid() {
    local pid command
    pid=$(cat "$PID_FILE" 2>/dev/null) && [ -n "$pid" ] || return 1
    command=$(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline") || return 1
    case $command in
        *"zund all --state-dir $STATE_DIR "*) echo "$pid" ;;
        *) return 1 ;;
    esac
}
