# SPDX-License-Identifier: Apache-2.0
"""Every key there is, on one page: who writes it, who watches it (docs/architecture.md has the same table in words).

`v/` is what API servers and controllers watch whole; **every transaction touches it**, so that a reader which waits until
its view has the store's revision never waits in vain. `in/` is a node's inbox. `blob/` and `stage/` are fetched, never watched.
"""

ROOT = "/zun/"
VIEW = ROOT + "v/"

CONTAINERS = VIEW + "c/"  # writer: services
PLACES = VIEW + "p/"  # writer: the leader
OUT = VIEW + "out/"  # writer: that node
NODES = VIEW + "node/"  # writer: services
QUOTAS = VIEW + "q/"  # writer: services (grow), the leader (give back)
LIMITS = VIEW + "limit/"  # writer: services
ACTIONS = VIEW + "a/"  # writer: services; the leader completes it when the container is gone
NAMES = VIEW + "name/"  # writer: services (claim), the leader (release)
ADDRESSES = VIEW + "ip/"  # writer: the leader
HOST_PORTS = VIEW + "port/"  # writer: the leader
NETWORKS = VIEW + "net/"  # writer: services
NETWORKS_TURN = (
    VIEW + "net-turn"
)  # writer: services, with every network that is made: so they are made one after the other
REGISTRIES = VIEW + "reg/"  # writer: services
IMAGES = VIEW + "i/"  # writer: services (wish), the leader (removes when gone)
CONSOLES = VIEW + "console/"  # writer: services (with a lease)
JOIN_TOKENS = VIEW + "token/"  # writer: services (with a lease)
LEADERS = VIEW + "lead/"  # writer: controllers (with a lease)
PROCESSES = VIEW + "proc/"  # writer: each process of the control plane (with a lease)
SCHEMA = VIEW + "schema"  # writer: API servers and controllers, at their start
TOUCHED = VIEW + "touched/"  # writer: the leader, when nothing else below `v/` changes
INBOX = ROOT + "in/"  # writer: services, the leader
BLOBS = ROOT + "blob/"  # writer: the leader; sealed for the node
STAGE = ROOT + "stage/"  # writer: services; encrypted with the master key, before placement


def container(uuid: str) -> str:
    """The wish: spec, intents, owner."""
    return CONTAINERS + uuid


def place(uuid: str) -> str:
    """Where it is put, with which generation and attachments."""
    return PLACES + uuid


def observation(node: str, uuid: str) -> str:
    """What the node sees of a container."""
    return f"{OUT}{node}/s/{uuid}"


def action_result(node: str, uuid: str, request_id: str) -> str:
    """What the node did for one action."""
    return f"{OUT}{node}/e/{uuid}/{request_id}"


def action_results(node: str, uuid: str) -> str:
    """Prefix of all results of a container on a node."""
    return f"{OUT}{node}/e/{uuid}/"


def image_observation(node: str, uuid: str) -> str:
    """What the node did with a wished image."""
    return f"{OUT}{node}/i/{uuid}"


def node_info(node: str) -> str:
    """Fingerprint, capacity, boot id."""
    return f"{OUT}{node}/info"


def node_alive(node: str) -> str:
    """Heartbeat (lease)."""
    return f"{OUT}{node}/alive"


def node_life(node: str) -> str:
    """Written with every lease that the node takes, and without one: who compares it knows that the node did not return meanwhile."""
    return f"{OUT}{node}/life"


def node_request(node: str) -> str:
    """The node's request for its next certificate."""
    return f"{OUT}{node}/csr"


def node_prefix(node: str) -> str:
    """All that a node may write."""
    return f"{OUT}{node}/"


def node(name: str) -> str:
    """What operators say of a node: enabled, zone, forced down; and its public key."""
    return NODES + name


def quota(project_id: str) -> str:
    """A project's usage."""
    return QUOTAS + project_id


def project_limits(project_id: str) -> str:
    """A project's own limits."""
    return f"{LIMITS}project/{project_id}"


def class_limits(name: str) -> str:
    """The limits of a quota class; only `default` has an effect."""
    return f"{LIMITS}class/{name}"


def action(uuid: str, request_id: str) -> str:
    """One line of a container's history; outlives the container."""
    return f"{ACTIONS}{uuid}/{request_id}"


def actions(uuid: str) -> str:
    """Prefix of a container's history."""
    return f"{ACTIONS}{uuid}/"


def unique_name(scope: str, name: str) -> str:
    """The claim on a unique name; `scope` is a project id, or `*` for the whole cloud."""
    return f"{NAMES}{scope}/{name}"


def address(network: str, addr: str) -> str:
    """The claim on an address of a network: by its id, or `<node>:<name>` of one that an engine has."""
    return f"{ADDRESSES}{network}/{addr}"


def addresses_of(network: str) -> str:
    """Prefix of all claims on addresses of a network."""
    return f"{ADDRESSES}{network}/"


def host_port(node_name: str, protocol: str, port: int) -> str:
    """The claim on a port of a node."""
    return f"{HOST_PORTS}{node_name}/{protocol}/{port}"


def network(name: str) -> str:
    """A network of the control plane. Names are unique in the whole cloud."""
    return NETWORKS + name


def registry(uuid: str) -> str:
    """A private registry with its (encrypted) credentials."""
    return REGISTRIES + uuid


def image(uuid: str) -> str:
    """A wished image on a node."""
    return IMAGES + uuid


def console(token_hash: str) -> str:
    """A console session that was granted; the key holds only the token's hash."""
    return CONSOLES + token_hash


def join_token(token_id: str) -> str:
    """A token with which a machine may join; the key holds its number, never the secret."""
    return JOIN_TOKENS + token_id


def leader(role: str) -> str:
    """Who leads a role."""
    return LEADERS + role


def process(role: str, identity: str) -> str:
    """A process of the control plane that runs, in a few words about itself."""
    return f"{PROCESSES}{role}/{identity}"


def inbox(node_name: str, uuid: str) -> str:
    """A container in a node's inbox."""
    return f"{INBOX}{node_name}/c/{uuid}"


def image_inbox(node_name: str, uuid: str) -> str:
    """An image in a node's inbox."""
    return f"{INBOX}{node_name}/i/{uuid}"


def node_certificate(node_name: str) -> str:
    """The certificate that a node asked for. Writer: the leader."""
    return f"{INBOX}{node_name}/certificate"


def inbox_prefix(node_name: str) -> str:
    """All of a node's inbox."""
    return f"{INBOX}{node_name}/"


def blobs_of(node_name: str) -> str:
    """Prefix of all that is sealed for a node."""
    return f"{BLOBS}{node_name}/"


def blobs(node_name: str, uuid: str) -> str:
    """Prefix of a container's files and secrets sealed for a node."""
    return f"{BLOBS}{node_name}/{uuid}/"


def blob(node_name: str, uuid: str, number: int) -> str:
    """One sealed file or secret."""
    return f"{BLOBS}{node_name}/{uuid}/{number}"


def stages(uuid: str) -> str:
    """Prefix of the files staged before placement."""
    return f"{STAGE}{uuid}/"


def stage(uuid: str, number: int) -> str:
    """One staged file or secret."""
    return f"{STAGE}{uuid}/{number}"
