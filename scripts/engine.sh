# SPDX-License-Identifier: Apache-2.0
# Shared by run, start and clean (sourced after say.sh, service.sh and containerd.sh): which engine the local service works with.
# Its containers lie in that engine, so the choice is kept with the state: <state-dir>/engine.ini, which the service reads.
# shellcheck shell=bash disable=SC2154

readonly ENGINE_FILE=$STATE_DIR/engine.ini

# remembered_engine: docker or containerd; nothing when the service was never run.
remembered_engine() {
    if [ -e "$ENGINE_FILE" ]; then sed -n 's/^# engine: //p' "$ENGINE_FILE"
    elif [ -e "$STATE_DIR/node.json" ]; then echo docker; fi
}

# choose_engine [WISH]: the remembered one; else what is wished; else what is there; else Docker.
choose_engine() {
    local known wish=${1:-}
    known=$(remembered_engine)
    case $wish in
        '' | docker | containerd) ;;
        *) die "There is no engine named $wish." "Engines: docker containerd" ;;
    esac
    if [ -n "$known" ] && [ -n "$wish" ] && [ "$known" != "$wish" ]; then
        die "The service in $STATE_DIR has its containers in $known, not in $wish." \
            "Begin again with make clean, or choose another place: make run ENGINE=$wish ZUN_STATE_DIR=…"
    fi
    if [ -n "${known:-$wish}" ]; then echo "${known:-$wish}"
    elif [ "$(python3 "$here/docker_api.py" ping)" != answers ] && containerd_pid >/dev/null; then echo containerd
    else echo docker; fi
}

# ensure_engine ENGINE: have it running, with the local images, and remember it.
ensure_engine() {
    mkdir -p "$STATE_DIR" || die "$STATE_DIR cannot be made." "Choose another place: make run ZUN_STATE_DIR=…"
    chmod 700 "$STATE_DIR"
    if [ "$1" = containerd ]; then
        "$here/ensure-containerd"
        "$here/build-image" --containerd "$CONTAINERD_SOCKET"
        printf '# engine: containerd\n[runtime]\ndriver = cri\n[cri]\nendpoint = unix://%s\n' "$CONTAINERD_SOCKET" >"$ENGINE_FILE"
    else
        "$here/ensure-docker"
        "$here/build-image"
        printf '# engine: docker\n' >"$ENGINE_FILE"
    fi
}
