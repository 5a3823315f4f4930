#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Says what it was started with, so that a test sees whether the image's defaults were used or replaced;
# with `serve` as first argument it then stays until it is told to stop.
echo "arguments: $*"
echo "directory: $(pwd)"
echo "greeting: $GREETING"
[ "$1" = serve ] || exit 0
trap 'echo stopped; exit 0' TERM INT
while :; do
    sleep 3600 &
    wait $!
done
