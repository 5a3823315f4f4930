# SPDX-License-Identifier: Apache-2.0
"""The rules and their defaults, on one page.

The names are those that operators' policy files already use. The defaults ask for a role: reading needs `reader`,
changing needs `member` (or `manager`), what concerns the cloud needs `admin`. A project's own admin is not a thing here: `admin`
is the cloud's. `admin_or_owner` is kept because policy files refer to it; no default uses it.
"""

from enum import StrEnum

import msgspec


class Level(StrEnum):
    """Who may, unless a policy file says otherwise. The values are the checks of the defaults."""

    READER = "rule:project_reader"
    MEMBER = "rule:project_member"
    ADMIN = "rule:context_is_admin"
    ROLE_ADMIN = "role:admin"
    NOBODY = "rule:deny_everybody"
    EXECUTE = "rule:container:execute"


NEEDED_ROLES: dict[Level, str] = {
    Level.READER: "one of the roles reader, member, manager or admin",
    Level.MEMBER: "one of the roles member, manager or admin",
    Level.ADMIN: "the role admin",
    Level.ROLE_ADMIN: "the role admin",
    Level.EXECUTE: "what container:execute needs (by default one of the roles member, manager or admin)",
    Level.NOBODY: "a policy file that allows it (by default nobody may)",
}

BASE_RULES: dict[str, str] = {
    "context_is_admin": "role:admin",
    "admin_api": "rule:context_is_admin",
    "admin_or_owner": "is_admin:True or project_id:%(project_id)s",
    "deny_everybody": "!",
    "project_member": "rule:context_is_admin or ((role:member or role:manager) and project_id:%(project_id)s)",
    "project_reader": "rule:project_member or (role:reader and project_id:%(project_id)s)",
}


class Rule(msgspec.Struct, frozen=True):
    """One thing that may be allowed or not. `what` completes the sentence "You may not …"."""

    name: str
    level: Level
    what: str


_R, _M, _A, _N = Level.READER, Level.MEMBER, Level.ADMIN, Level.NOBODY

RULES: tuple[Rule, ...] = (
    Rule("container:create", _M, "create containers"),
    Rule("container:create:runtime", _A, "choose a container's runtime"),
    Rule("container:create:privileged", _N, "create privileged containers"),
    Rule("container:create:published_ports", _M, "publish ports of containers on their hosts"),
    Rule("container:create:requested_destination", _A, "choose the host of a container"),
    Rule("container:create:image_pull_policy", _A, "choose when an image is pulled"),
    Rule("container:delete", _M, "delete containers"),
    Rule("container:delete_all_projects", _A, "delete containers of other projects"),
    Rule("container:delete_force", _A, "delete containers by force"),
    Rule("container:get_one", _R, "see a container"),
    Rule("container:get_one:host", _A, "see the host of a container"),
    Rule("container:get_one:image_pull_policy", _A, "see the pull policy of a container"),
    Rule("container:get_one:privileged", _A, "see whether a container is privileged"),
    Rule("container:get_one:runtime", _A, "see the runtime of a container"),
    Rule("container:get_one_all_projects", _A, "see a container of another project"),
    Rule("container:get_all", _R, "list containers"),
    Rule("container:get_all_all_projects", _A, "list the containers of all projects"),
    Rule("container:update", _M, "update containers"),
    Rule("container:start", _M, "start containers"),
    Rule("container:stop", _M, "stop containers"),
    Rule("container:reboot", _M, "reboot containers"),
    Rule("container:pause", _M, "pause containers"),
    Rule("container:unpause", _M, "unpause containers"),
    Rule("container:logs", _R, "read the logs of containers"),
    Rule("container:execute", _M, "run commands in containers"),
    Rule("container:execute_resize", _M, "resize the terminal of a command in a container"),
    Rule("container:kill", _M, "send signals to containers"),
    Rule("container:rename", _M, "rename containers"),
    Rule("container:attach", _M, "attach to containers"),
    Rule("container:resize", _M, "resize the terminal of containers"),
    Rule("container:port_forward", Level.EXECUTE, "connect to ports of containers"),
    Rule("container:top", _R, "list the processes of containers"),
    Rule("container:get_archive", _R, "copy files out of containers"),
    Rule("container:put_archive", _M, "copy files into containers"),
    Rule("container:stats", _R, "see what containers use"),
    Rule("container:commit", _M, "make images of containers"),
    Rule("container:add_security_group", _M, "add security groups to containers"),
    Rule("container:remove_security_group", _M, "remove security groups from containers"),
    Rule("container:network_attach", _M, "attach networks to containers"),
    Rule("container:network_detach", _M, "detach networks from containers"),
    Rule("container:rebuild", _M, "rebuild containers"),
    Rule("container:resize_container", _M, "change the resources of containers"),
    Rule("container:actions", _R, "see the action history of containers"),
    Rule("container:action:events", _A, "see the details of an action's events"),
    Rule("image:pull", _A, "pull images to hosts"),
    Rule("image:get_all", _A, "list images"),
    Rule("image:get_one", _A, "see an image"),
    Rule("image:delete", _A, "delete images"),
    Rule("image:search", _R, "search images"),
    Rule("host:get_all", _A, "list hosts"),
    Rule("host:get", _A, "see a host"),
    Rule("node:get_all", _A, "list nodes"),
    Rule("node:get", _A, "see a node and what is on it"),
    Rule("node:drain", _A, "drain a node"),
    Rule("node:undrain", _A, "stop draining a node"),
    Rule("doctor:examine", _A, "see what is wrong with the installation"),
    Rule("zun-service:get_all", _A, "list services"),
    Rule("zun-service:enable", _A, "enable a service"),
    Rule("zun-service:disable", _A, "disable a service"),
    Rule("zun-service:force_down", _A, "force a service down"),
    Rule("zun-service:delete", _A, "delete a service"),
    Rule("node:token", _A, "make or revoke tokens for machines to join"),
    Rule("capsule:create", _M, "create capsules"),
    Rule("capsule:delete", _M, "delete capsules"),
    Rule("capsule:delete_all_projects", _A, "delete capsules of other projects"),
    Rule("capsule:get", _R, "see a capsule"),
    Rule("capsule:get:host", _A, "see the host of a capsule"),
    Rule("capsule:get_one_all_projects", _A, "see a capsule of another project"),
    Rule("capsule:get_all", _R, "list capsules"),
    Rule("capsule:get_all_all_projects", _A, "list the capsules of all projects"),
    Rule("network:attach_external_network", Level.ROLE_ADMIN, "attach external networks"),
    Rule("network:get_all", _R, "list networks"),
    Rule("network:get_one", _R, "see a network"),
    Rule("network:create", Level.ROLE_ADMIN, "create networks"),
    Rule("network:delete", Level.ROLE_ADMIN, "delete networks"),
    Rule("availability_zones:get_all", _R, "list availability zones"),
    Rule("quota:get", _R, "see the quota of a project"),
    Rule("quota:get_default", _R, "see the default quota"),
    Rule("quota:update", _A, "change the quota of a project"),
    Rule("quota:delete", _A, "reset the quota of a project"),
    Rule("quota_class:get", _A, "see a quota class"),
    Rule("quota_class:update", _A, "change a quota class"),
    Rule("registry:create", _M, "create registries"),
    Rule("registry:delete", _M, "delete registries"),
    Rule("registry:get_one", _R, "see a registry"),
    Rule("registry:get_all", _R, "list registries"),
    Rule("registry:get_all_all_projects", _A, "list the registries of all projects"),
    Rule("registry:update", _M, "update registries"),
)

BY_NAME: dict[str, Rule] = {rule.name: rule for rule in RULES}


def sample() -> str:
    """The defaults as a commented policy file, to start one's own from."""
    lines = ["# Rules of Zun. Remove the '#' before a rule to replace its default."]
    lines += [f'#"{name}": "{check}"' for name, check in BASE_RULES.items()]
    for rule in RULES:
        lines += ["", f"# Who may {rule.what}.", f'#"{rule.name}": "{rule.level}"']
    return "\n".join(lines) + "\n"
