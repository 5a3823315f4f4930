# SPDX-License-Identifier: Apache-2.0
"""Runs in Keystone's environment: makes its database, keys and first administrator. Arguments: the configuration file, the password.

`keystone-manage` can do one thing per process and takes seconds to load; here it is loaded once, and each thing is done in a fork.
"""

import os
import sys

from keystone.cmd import cli

OWNER = ("--keystone-user", "root", "--keystone-group", "root")


def main(config: str, password: str) -> int:
    """Do it; the exit code."""
    for words in (
        ("db_sync",),
        ("fernet_setup", *OWNER),
        ("credential_setup", *OWNER),
        ("bootstrap", "--bootstrap-password", password, "--bootstrap-region-id", "RegionOne"),
    ):
        child = os.fork()
        if child == 0:
            cli.main(["keystone-manage", "--config-file", config, *words])
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            return os.waitstatus_to_exitcode(status)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
