# SPDX-License-Identifier: Apache-2.0
"""Who is who: the names that certificates carry, which are also the users and roles that etcd knows.

etcd takes the common name of a client's certificate for its user. A node's user is made anew each time a machine joins under the
name, so that a certificate from before is nobody's, though it is still valid.
"""

import re
import secrets

CONTROL = "zun-control"
"""The control plane: API servers and controllers are one trust domain."""

ROOT = "root"
"""The user, and the role, without which etcd does not check anybody's rights. There is no certificate for the user."""

_NODE_USER = re.compile(r"node-(?P<node>[a-z0-9.-]+)@[0-9a-f]{8}")


def etcd_subject(name: str) -> str:
    """The common name of an etcd server. etcd has no such user: with that certificate nothing can be read."""
    return f"etcd-{name}"


def node_host(node: str) -> str:
    """The name under which a node's server is verified, wherever it is; also the name of the node's role in etcd."""
    return f"node-{node}"


def new_node_user(node: str) -> str:
    """The common name and etcd user for a machine that joins as `node`, different at each joining."""
    return f"{node_host(node)}@{secrets.token_hex(4)}"


def node_of_user(user: str) -> str | None:
    """The node that a user belongs to; None when it is no node's."""
    found = _NODE_USER.fullmatch(user)
    return found["node"] if found else None
