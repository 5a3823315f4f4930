# SPDX-License-Identifier: Apache-2.0
"""Runs in Keystone's environment: serves Keystone on loopback. Argument: the port. OS_KEYSTONE_CONFIG_FILES names the configuration."""

import sys

import waitress


def main(port: str) -> None:
    """Serve until killed."""
    sys.argv = sys.argv[:1]  # Keystone would take ours for its own
    from keystone.wsgi.api import application

    waitress.serve(application, listen=f"127.0.0.1:{port}", threads=4)


if __name__ == "__main__":
    main(*sys.argv[1:])
