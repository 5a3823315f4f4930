# SPDX-License-Identifier: Apache-2.0
# Shared by run, start and clean (sourced after say.sh, service.sh and containerd.sh): which engine the local service works with, and
# who plugs its containers in. They lie there, so the choice is kept with the state: <state-dir>/engine.ini, which the service reads.
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

# remembered_networks: engine or cni; nothing when the service was never run.
remembered_networks() {
    local known
    known=$(sed -n 's/^# networks: //p' "$ENGINE_FILE" 2>/dev/null) || true
    if [ -z "$known" ] && [ -n "$(remembered_engine)" ]; then known=engine; fi
    echo "$known"
}

# choose_networks [WISH]: the remembered ones; else what is wished; else the engine's own.
choose_networks() {
    local known wish=${1:-}
    known=$(remembered_networks)
    case $wish in
        '' | engine | cni) ;;
        *) die "There are no networks named $wish." "Networks: engine cni" ;;
    esac
    if [ -n "$known" ] && [ -n "$wish" ] && [ "$known" != "$wish" ]; then
        die "The containers of the service in $STATE_DIR are on networks of the kind $known, not $wish." \
            "Begin again with make clean, or choose another place: make run NETWORKS=$wish ZUN_STATE_DIR=…"
    fi
    echo "${known:-${wish:-engine}}"
}

# ensure_engine ENGINE NETWORKS: have it running, with the local images, and remember both.
ensure_engine() {
    local chosen
    mkdir -p "$STATE_DIR" || die "$STATE_DIR cannot be made." "Choose another place: make run ZUN_STATE_DIR=…"
    chmod 700 "$STATE_DIR"
    chosen=$(printf '# engine: %s\n# networks: %s' "$1" "$2")
    if [ "$2" = cni ]; then
        "$here/ensure-network"
        chosen+=$'\n[network]\ndriver = cni'
    fi
    if [ "$1" = containerd ]; then
        if [ "$2" = cni ]; then
            ZUN_CONTAINERD_NETWORK=zun-cni "$here/ensure-containerd"
            chosen+=$'\n[cni]\n'"bin_dir = $CONTAINERD_BIN_DIR"$'\n'"conf_dir = $CONTAINERD_CONF_DIR"
        else
            ZUN_CONTAINERD_NETWORK=bridge "$here/ensure-containerd"
        fi
        "$here/build-image" --containerd "$CONTAINERD_SOCKET"
        chosen+=$'\n[runtime]\ndriver = cri\n[cri]\n'"endpoint = unix://$CONTAINERD_SOCKET"
    else
        "$here/ensure-docker"
        "$here/build-image"
    fi
    printf '%s\n' "$chosen" >"$ENGINE_FILE"
}
