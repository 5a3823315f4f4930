# SPDX-License-Identifier: Apache-2.0
"""A cloud's operator, for tests: configures the service for a Keystone, registers it, checks it."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from support.cloud import Cloud, Person
from support.service import ZUND

CACHE_SECONDS = 2
"""How long the services of these tests believe a token."""
SETTINGS = "[quota]\ncontainers = -1\ncpu = -1\nmemory = -1\n[streams]\nheartbeat_seconds = 1\n"


def settings_of(cloud: Cloud, user: Person, **changed: object) -> str:
    """The sections of the configuration file that make Keystone the identity."""
    options = {
        "www_authenticate_uri": f"{cloud.url}/v3",
        "auth_url": cloud.url,
        "username": user.name,
        "password": user.password,
        "project_name": user.project,
        "token_cache_time": CACHE_SECONDS,
    } | changed
    lines = [f"{name} = {value}" for name, value in options.items()]
    return "\n".join(["[identity]", "driver = keystone", "[keystone_authtoken]", *lines, ""])


def administrators_environment(cloud: Cloud) -> dict[str, str]:
    """What an administrator's openrc file sets."""
    return {
        "OS_AUTH_URL": cloud.url,
        "OS_USERNAME": cloud.admin.name,
        "OS_PASSWORD": cloud.admin.password,
        "OS_PROJECT_NAME": cloud.admin.project,
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
    }


@dataclass(frozen=True)
class Zund:
    """`zund keystone …` as an operator runs it."""

    cloud: Cloud
    directory: Path

    def __call__(self, *words: str, settings: str, **environment: str) -> tuple[int, str]:
        """Run it; its exit code and what it said."""
        configuration = self.directory / "zun.conf"
        configuration.write_text(settings)
        done = subprocess.run(
            [ZUND, "keystone", *words, "--config", configuration, "--state-dir", self.directory],
            env={"PATH": "/usr/bin:/bin"} | administrators_environment(self.cloud) | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr
