# SPDX-License-Identifier: Apache-2.0
# Shared by the scripts beside it (sourced, not run): the unit files as they are to stand in /etc/systemd/system.
# shellcheck shell=bash

# render_unit NAME ZUND: the unit on standard output, with the path of the executable that it is to run.
render_unit() {
    sed "s|/usr/bin/zund|$2|" "${root:?}/systemd/zun-$1.service"
}
