# SPDX-License-Identifier: Apache-2.0
"""A process of its own that reads and writes files inside a container's root, and can reach nothing else.

Paths come from tenants, and so do the symbolic links on their way; a running container may even change them meanwhile. So the kernel
keeps them inside: the process enters a mount namespace of its own, makes the container's root its root (`chroot`), and resolves paths
there. All mounts are without devices: a tenant may make a node of the machine's disk, which inside the container the kernel refuses to
open, and here would not. Standard library only; started as `python -S -m zun.drivers.runtime.host.rooted`.

The first argument is JSON (`Task`). The answer begins with a line of JSON: `{"stat": …}` or `{"error": kind, "message": …}`. For `get`
a tar follows on standard output; for `put` a tar is read from standard input and a second line of JSON tells how it ended.
"""
