# SPDX-License-Identifier: Apache-2.0
"""What an operator may set about the gate (section `[gate]`)."""

from typing import Annotated

from msgspec import Meta, Struct


class GateOptions(Struct, frozen=True, kw_only=True):
    """Where nodes reach the store. The files, when not named, are those that `zund ca issue control` wrote to the state directory."""

    host: Annotated[str, Meta(description="Address to listen on for nodes.")] = "127.0.0.1"
    port: Annotated[int, Meta(description="Port to listen on for nodes; 0: any free one.", ge=0, le=65535)] = 9519
    ca_file: Annotated[str, Meta(description="PEM file of the authority that certifies nodes.")] = ""
    cert_file: Annotated[str, Meta(description="PEM file of the gate's certificate.")] = ""
    key_file: Annotated[str, Meta(description="PEM file of its private key.")] = ""
    most_calls: Annotated[int, Meta(description="Most calls of one node at a time; more are refused.", ge=8)] = 64
