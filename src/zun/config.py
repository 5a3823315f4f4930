# SPDX-License-Identifier: Apache-2.0
"""Settings: one INI file, read once, handed down as typed objects. There is no global configuration.

Each part of the house declares its own options as a Struct (a default and a description per attribute); this module maps
INI sections to those Structs through oslo.config, so that operators find the file format they know. A name that no
part declares is an error, not a silent default.
"""

import configparser
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, cast

import msgspec
from oslo_config import cfg
from oslo_config import types as oslo_types

from zun.agent.options import AgentOptions
from zun.api.options import ApiOptions
from zun.api.streams.options import StreamOptions
from zun.cni.options import CniOptions
from zun.controllers.options import ControllerOptions
from zun.controllers.scheduling.options import SchedulerOptions
from zun.drivers.identity.keystone.options import KeystoneOptions
from zun.drivers.identity.options import IdentityOptions
from zun.drivers.network.options import NetworkOptions
from zun.drivers.runtime.cri.options import CriOptions
from zun.drivers.runtime.docker.options import DockerOptions
from zun.gate.options import GateOptions
from zun.model.errors import Invalid
from zun.nodestreams.options import NodeStreamOptions
from zun.policy.options import PolicyOptions
from zun.services.doctor.options import DoctorOptions
from zun.services.join_options import JoinOptions
from zun.services.live_options import LiveOptions
from zun.services.options import ContainerOptions, QuotaOptions
from zun.store.options import StoreOptions
from zun.telemetry.options import MetricsOptions, TracingOptions

Meta = msgspec.Meta
Section = TypeVar("Section", bound=msgspec.Struct)


class RuntimeOptions(msgspec.Struct, frozen=True):
    """Which engine runs the containers of this node."""

    driver: Annotated[
        Literal["docker", "cri", "fake"],
        Meta(description="docker: a Docker engine. cri: containerd. fake: nothing runs; for tests and load"),
    ] = "docker"


class LogOptions(msgspec.Struct, frozen=True):
    """What is written to standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="the least serious message that is written")
    ] = "info"
    format: Annotated[
        Literal["text", "json"],
        Meta(
            description="text: lines for people. json: one object a line, with time, level, logger, message, request_id"
        ),
    ] = "text"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings of one process."""

    state_dir: Path
    api: ApiOptions = ApiOptions()
    containers: ContainerOptions = ContainerOptions()
    quota: QuotaOptions = QuotaOptions()
    live: LiveOptions = LiveOptions()
    streams: StreamOptions = StreamOptions()
    scheduler: SchedulerOptions = SchedulerOptions()
    controller: ControllerOptions = ControllerOptions()
    compute: AgentOptions = AgentOptions()
    node_streams: NodeStreamOptions = NodeStreamOptions()
    runtime: RuntimeOptions = RuntimeOptions()
    docker: DockerOptions = DockerOptions()
    cri: CriOptions = CriOptions()
    network: NetworkOptions = NetworkOptions()
    cni: CniOptions = CniOptions()
    policy: PolicyOptions = PolicyOptions()
    identity: IdentityOptions = IdentityOptions()
    keystone_authtoken: KeystoneOptions = KeystoneOptions()
    store: StoreOptions = StoreOptions()
    doctor: DoctorOptions = DoctorOptions()
    gate: GateOptions = GateOptions()
    join: JoinOptions = JoinOptions()
    log: LogOptions = LogOptions()
    metrics: MetricsOptions = MetricsOptions()
    tracing: TracingOptions = TracingOptions()


def sections() -> dict[str, type[msgspec.Struct]]:
    """The sections of the file with what each may hold."""
    hints = typing.get_type_hints(Settings)
    return {name: hint for name, hint in hints.items() if isinstance(hint, type) and issubclass(hint, msgspec.Struct)}


def load(
    state_dir: Path, path: Path | None = None, overrides: Mapping[str, Mapping[str, object]] | None = None
) -> Settings:
    """The settings of `path` (defaults when None) with `overrides` (section → option → value, from the command line) on top.

    Raises `Invalid` in one line that names the file, section and option that is unknown, wrong, or contradicts another one.
    """
    if path is not None:
        _refuse_unknown(path)
    conf = cfg.ConfigOpts()
    for name, struct in sections().items():
        conf.register_opts(_options(struct), group=name)
    try:
        conf(args=[], project="zun", default_config_files=[str(path)] if path else [], default_config_dirs=[])
    except (cfg.ConfigFilesNotFoundError, cfg.ConfigFileParseError, cfg.ConfigFilesPermissionDeniedError) as error:
        raise _unreadable(path, error) from error
    found = {
        name: _section(conf, name, struct, path, (overrides or {}).get(name, {})) for name, struct in sections().items()
    }
    settings = Settings(state_dir=state_dir, **cast(dict[str, Any], found))
    if settings.scheduler.tenant_isolation == "sandboxed" and not settings.controller.sandboxed_runtimes:
        needed = "'sandboxed' needs [controller] sandboxed_runtimes, such as runsc"
        raise _wrong(path, "[scheduler] tenant_isolation", ValueError(needed))
    return settings


def sample() -> str:
    """A documented configuration file with every option at its default, commented out."""
    lines = ["# Zun's configuration. Every option is shown with its default; remove the # to change it."]
    for name, struct in sections().items():
        lines += ["", f"[{name}]", *(f"# {line}".rstrip() for line in (struct.__doc__ or "").strip().splitlines()[:1])]
        for option in _options(struct):
            shown = "" if option.default is None else option.default
            if isinstance(shown, list):
                shown = ",".join(shown)
            if isinstance(shown, dict):
                shown = ",".join(f"{key}:{value}" for key, value in shown.items())
            lines += ["", f"# {option.help}", f"#{option.name} = {shown}".rstrip()]
    return "\n".join(lines) + "\n"


def _refuse_unknown(path: Path) -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True, default_section="DEFAULT")
    try:
        parser.read_string(path.read_text(encoding="utf-8"), source=str(path))
    except (OSError, configparser.Error, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    known = sections()
    for option in parser.defaults():
        raise Invalid(
            f"{path}: option `{option}` stands outside a section; put it below one of {', '.join(sorted(known))}."
        )
    for section in parser.sections():
        if section not in known:
            raise Invalid(f"{path}: there is no section [{section}]; sections are {', '.join(sorted(known))}.")
        names = {option.name for option in _options(known[section])}
        for option in parser[section]:
            if option not in names:
                raise Invalid(f"{path}: [{section}] has no option `{option}`; it has {', '.join(sorted(names))}.")


def _unreadable(path: Path | None, error: Exception) -> Invalid:
    why = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
    return Invalid(f"The configuration file {path} cannot be read: {why}. Correct it, or name another with --config.")


def _section(
    conf: Any, name: str, struct: type[Section], path: Path | None, overrides: Mapping[str, object]
) -> Section:
    raw: dict[str, object] = {}
    for option in _options(struct):
        try:
            raw[option.name] = overrides[option.name] if option.name in overrides else conf[name][option.dest]
        except cfg.ConfigFileValueError as error:
            raise _wrong(path, f"[{name}] {option.name}", error.__context__ or error) from error
        except (cfg.NoSuchOptError, cfg.TemplateSubstitutionError):
            # Without the cause: it would show part of what may be a password.
            raise Invalid(
                f"{path}: [{name}] {option.name}: a $ stands for another option; write $$ for the sign."
            ) from None
    try:
        return msgspec.convert(raw, struct, strict=False)
    except msgspec.ValidationError as error:
        _blame_one(name, struct, raw, path, overrides)
        source = f"the command line, and {path or 'the defaults'}" if overrides else path
        raise _wrong(source, f"section [{name}]", error) from error


def _blame_one(
    section: str,
    struct: type[msgspec.Struct],
    raw: dict[str, object],
    path: Path | None,
    overrides: Mapping[str, object],
) -> None:
    """Raise for the option that is wrong by itself, if one is."""
    hints = typing.get_type_hints(struct, include_extras=True)
    for name, value in raw.items():
        try:
            msgspec.convert(value, hints[name], strict=False)
        except msgspec.ValidationError as error:
            source = "the command line" if name in overrides else path
            raise _wrong(source, f"[{section}] {name}{_shown(value)}", error) from error


def _shown(value: object) -> str:
    """A number helps to see what is wrong; a text may be a secret."""
    return f" = {value:g}" if isinstance(value, int | float) else ""


def _wrong(source: Path | str | None, what: str, error: BaseException) -> Invalid:
    why = str(error).partition(" - at `$")[0].rstrip(".")
    return Invalid(f"{source or 'The defaults'}: {what}: {why}. Correct it; `zund config sample` shows what it may be.")


def _options(struct: type[msgspec.Struct]) -> list[Any]:
    hints = typing.get_type_hints(struct, include_extras=True)
    found = []
    for field in msgspec.structs.fields(struct):
        default = field.default if field.default is not msgspec.NODEFAULT else cast(Any, field.default_factory)()
        found.append(_option(field.name, hints[field.name], default))
    return found


def _option(name: str, hint: Any, default: object) -> Any:
    """The oslo.config option for one attribute."""
    description = ""
    limits: dict[str, Any] = {}
    if typing.get_origin(hint) is Annotated:
        hint, *extras = typing.get_args(hint)
        for extra in extras:
            if isinstance(extra, msgspec.Meta):
                description = extra.description or description
                limits = {"min": extra.ge, "max": extra.le}
    if typing.get_origin(hint) in (Union, types.UnionType):
        hint = next(arg for arg in typing.get_args(hint) if arg is not type(None))
    if typing.get_origin(hint) is Annotated:
        return _option(name, hint, default)
    if typing.get_origin(hint) is Literal:
        return cfg.StrOpt(name, default=default, choices=list(typing.get_args(hint)), help=description)
    if hint is bool:
        return cfg.BoolOpt(name, default=default, help=description)
    if hint in (int, float):
        kind = cfg.IntOpt if hint is int else cfg.FloatOpt
        return kind(name, default=default, help=description, **limits)
    if typing.get_origin(hint) in (list, tuple):
        item = str(typing.get_args(hint)[0].__name__) if typing.get_args(hint) else "str"
        return cfg.ListOpt(
            name,
            default=list(cast(Any, default) or []),
            help=description,
            item_type=oslo_types.Integer() if item == "int" else None,
        )
    if typing.get_origin(hint) is dict:
        return cfg.DictOpt(name, default=default, help=description)
    return cfg.StrOpt(name, default=None if default is None else str(default), help=description)
