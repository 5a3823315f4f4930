# SPDX-License-Identifier: Apache-2.0
"""What an operator may set about Keystone (section `[keystone_authtoken]`, with the names other services have for it)."""

from typing import Annotated, Literal

import msgspec

Meta = msgspec.Meta

_SECRETS = frozenset({"password", "application_credential_secret"})


class KeystoneOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How tokens are checked with Keystone, and as whom. Used with [identity] driver = keystone."""

    www_authenticate_uri: Annotated[
        str,
        Meta(description="Keystone's public URL, told to clients that come without a good token. Empty: auth_url."),
    ] = ""
    auth_url: Annotated[
        str, Meta(description="Where the service itself logs in, e.g. http://controller:5000. Needed.")
    ] = ""
    auth_type: Annotated[
        Literal["password", "v3password", "v3applicationcredential"],
        Meta(description="How the service logs in. Its user needs the role service (or admin) to check tokens."),
    ] = "password"
    username: Annotated[str, Meta(description="The service's user, e.g. zun.")] = ""
    password: Annotated[str, Meta(description="The password of that user. Keep this file private.")] = ""
    user_domain_name: Annotated[str, Meta(description="The domain of that user.")] = "Default"
    user_domain_id: Annotated[str, Meta(description="The same by id; counts more.")] = ""
    project_name: Annotated[str, Meta(description="The project of that user, e.g. service.")] = ""
    project_domain_name: Annotated[str, Meta(description="The domain of that project.")] = "Default"
    project_domain_id: Annotated[str, Meta(description="The same by id; counts more.")] = ""
    application_credential_id: Annotated[str, Meta(description="Instead of user and password.")] = ""
    application_credential_secret: Annotated[str, Meta(description="The secret of that credential.")] = ""
    cafile: Annotated[
        str, Meta(description="Certificates to trust when Keystone speaks TLS. Empty: those of the system.")
    ] = ""
    insecure: Annotated[bool, Meta(description="Do not check Keystone's certificate. For trying things only.")] = False
    region_name: Annotated[str, Meta(description="The region whose Keystone is asked. Empty: any.")] = ""
    interface: Annotated[
        Literal["internal", "public", "admin"], Meta(description="Which of Keystone's endpoints is asked.")
    ] = "internal"
    http_connect_timeout: Annotated[
        float, Meta(ge=0.1, le=60, description="Seconds for connecting to Keystone, and for each piece of its answer.")
    ] = 5.0
    validation_timeout: Annotated[
        float, Meta(ge=0.1, le=300, description="Seconds that a request waits for its token to be checked; then 503.")
    ] = 10.0
    validation_threads: Annotated[int, Meta(ge=1, le=64, description="How many tokens are checked at once.")] = 8
    validation_queue: Annotated[
        int, Meta(ge=1, le=100_000, description="How many tokens may wait for being checked; beyond that 503 at once.")
    ] = 256
    token_cache_time: Annotated[
        int,
        Meta(ge=1, le=3600, description="Seconds that a checked token is believed. So long may a revoked one work on."),
    ] = 60
    token_cache_size: Annotated[int, Meta(ge=1, le=1_000_000, description="How many tokens are remembered.")] = 10_000
    service_type: Annotated[
        str, Meta(description="The type of this service in the catalogue; access rules of credentials name it.")
    ] = "container"
    service_token_roles: Annotated[
        list[str],
        Meta(description="Who has one of these roles may send X-Service-Token for somebody whose token has expired."),
    ] = msgspec.field(default_factory=lambda: ["service"])

    def __repr__(self) -> str:
        """Without the secrets, so that no log line or error can hold them."""
        shown = {
            name: "***" if name in _SECRETS and getattr(self, name) else getattr(self, name)
            for name in self.__struct_fields__
        }
        return f"KeystoneOptions({', '.join(f'{name}={value!r}' for name, value in shown.items())})"
