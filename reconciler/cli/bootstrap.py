"""`reconcile bootstrap`: the bootstrap of one proxy, and the files without which Envoy would not start."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reconciler.cli.options import Cache, Output, OutputOption, Ref, Repo, settings
from reconciler.errors import UsageError
from reconciler.model.variant import Variant

if TYPE_CHECKING:
    from reconciler.compile import AdsLink, Started
    from reconciler.model.mesh import Policy
    from reconciler.model.proxy import Proxy


_KNOWN = "--proxy names one that Git knows; --name describes one that it doesn't"
_DESCRIBING = ("namespace", "workload", "labels", "locality", "admin")
_LINKING = ("ads_name", "ads_variant", "ads_plaintext")


def bootstrap(
    context: typer.Context,
    *,
    proxy: Annotated[str, typer.Option("--proxy", metavar="NAME", help="NAME or NAMESPACE/NAME.")] = "",
    ads: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where the daemon is, for a proxy that is pushed to by ADS.")
    ] = "",
    ads_name: Annotated[
        str, typer.Option(metavar="NAME", help="What its certificate is for. Default: the host of --ads.")
    ] = "",
    ads_variant: Annotated[Variant, typer.Option(help="The form of the protocol.")] = Variant.DELTA,
    ads_plaintext: Annotated[
        bool, typer.Option("--ads-plaintext", help="Speak to the daemon without TLS, also over a network.")
    ] = False,
    name: Annotated[str, typer.Option(metavar="NAME", help="For a proxy that Git doesn't know: its name.")] = "",
    namespace: Annotated[str, typer.Option(metavar="NS", help="With --name. Default: default.")] = "",
    workload: Annotated[str, typer.Option(metavar="W", help="With --name: the WorkloadEntry of a sidecar.")] = "",
    labels: Annotated[str, typer.Option(metavar="k=v,k2=v2", help="With --name: a gateway's labels.")] = "",
    locality: Annotated[str, typer.Option(metavar="R/Z/S", help="With --name: a gateway's locality.")] = "",
    admin: Annotated[
        str, typer.Option(metavar="ADDRESS", help="With --name: its admin address, as on a Proxy; none by default.")
    ] = "",
    admin_bind: Annotated[
        str, typer.Option(metavar="IP", help="What the listener of an https admin address binds, if not its host.")
    ] = "",
    observer: Annotated[
        list[str],
        typer.Option(metavar="NAME", help="Who may read an https admin address: a name in a certificate. Repeatable."),
    ] = [],
    folder: Annotated[
        str,
        typer.Option(
            metavar="DIR",
            help="Files beside the bootstrap, on the proxy's host. Default: /var/lib/envoy/NAMESPACE.NAME.",
        ),
    ] = "",
    host_root: Annotated[
        str, typer.Option(metavar="DIR", help="Create what has to be on the proxy's host below DIR, to take it there.")
    ] = "",
    repo: Repo = ".",
    ref: Ref = "main",
    work_tree: Annotated[bool, typer.Option("--work-tree", help="Use uncommitted files.")] = False,
    output: OutputOption = Output.TEXT,
    cache: Cache = None,
) -> int:
    """Print the Envoy bootstrap of one proxy; for a gRPC application the JSON that GRPC_XDS_BOOTSTRAP names.

    What Envoy needs to find is created where absent: the folder of its admin socket; for a proxy on files its directory with empty
    `cds.pb` and `lds.pb`; and where the bootstrap uses certificates, two small files that name them.
    """
    given = _given(context)
    _check(given, proxy=proxy, name=name, ads=ads, output=output)
    from reconciler.cli.newcomer import newcomer, surroundings
    from reconciler.cli.offline import member
    from reconciler.cli.output import print_document
    from reconciler.compile import Prototypes, Start, grpc_bootstrap, started
    from reconciler.model.protos import to_dict

    chosen = settings(repo=repo, ref=ref, cache=cache)
    if name:
        policy = newcomer(
            name=name, namespace=namespace, workload=workload, labels=labels, locality=locality, admin=admin
        )
        world = surroundings(chosen, work_tree=work_tree, optional="repo" not in given)
        mesh, templates = world.mesh, world.templates
    else:
        found = member(chosen, proxy, work_tree=work_tree)
        policy, mesh, templates = found.proxy, found.desired.mesh.settings, found.desired.templates
    _no_idle_observer(policy, given)
    start = Start(
        ads=_link(ads, ads_name, ads_variant, plaintext=ads_plaintext) if ads else None,
        certificates=mesh.certificates,
        folder=_absolute(folder, "--folder"),
        admin_bind=_ip(admin_bind),
        observers=tuple(observer),
        metrics=mesh.telemetry.metrics,
    )
    if policy.spec.push.proxyless:
        _no_envoys_options(policy, given)
        print_document(grpc_bootstrap(policy, start), Output.JSON)  # the one form that gRPC reads
        return 0
    built = started(policy, Prototypes.parse(templates), start)
    _warn(policy, built)
    _prepare(policy, built, host_root)
    print_document(to_dict(built.message), output)
    return 0


def _given(context: typer.Context) -> frozenset[str]:
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return frozenset(name for name, source in sources.items() if source is not None and source.name != "DEFAULT")


def _check(given: frozenset[str], *, proxy: str, name: str, ads: str, output: Output) -> None:
    """What contradicts itself, or would be without effect."""
    if output is Output.MARKDOWN:
        raise UsageError("bootstrap prints YAML (--output text) or JSON (--output json)")
    if bool(proxy) == bool(name):
        raise UsageError("give one of --proxy and --name", hint=_KNOWN)
    describing = _options(given, _DESCRIBING)
    if proxy and describing:
        raise UsageError(f"{describing} can't be used with --proxy, whose document says it", hint=_KNOWN)
    linking = _options(given, _LINKING)
    if linking and not ads:
        raise UsageError(f"{linking} needs --ads HOST:PORT")
    if name and not ads:
        raise UsageError(
            f"{name} is to be pushed to by ADS, and nobody says where the daemon is", hint="give --ads HOST:PORT"
        )
    if {"ads_name", "ads_plaintext"} <= given:
        raise UsageError("--ads-name is checked by TLS, which --ads-plaintext does without")


def _options(given: frozenset[str], names: tuple[str, ...]) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in names if name in given)


def _no_idle_observer(policy: Policy[Proxy], given: frozenset[str]) -> None:
    idle = _options(given, ("admin_bind", "observer"))
    if idle and not policy.spec.admin.startswith("https://"):
        raise UsageError(
            f"{idle} is about the listener of an https admin address, and {policy.key} has none",
            hint="its admin address would be https://HOST:PORT",
        )


def _no_envoys_options(policy: Policy[Proxy], given: frozenset[str]) -> None:
    idle = _options(given, ("ads_variant", "folder", "host_root"))
    if idle:
        raise UsageError(f"{idle} is about an Envoy, and {policy.key} is a gRPC application", hint="leave it out")


def _link(ads: str, name: str, variant: Variant, *, plaintext: bool) -> AdsLink:
    from reconciler.compile import AdsLink
    from reconciler.model.hosts import is_address
    from reconciler.policy.checks.formats import host_problem

    if name and not is_address(name) and host_problem(name, wildcard=False):
        raise UsageError(f"--ads-name {name!r} is neither a DNS name nor an IP address")
    return AdsLink.parse(ads, name=name, variant=variant, plaintext=plaintext)


def _absolute(folder: str, option: str) -> str:
    if folder and (not folder.startswith("/") or ".." in Path(folder).parts):
        raise UsageError(f"{option} {folder!r} is not an absolute path", hint="write it like /var/lib/envoy/NAME")
    return folder


def _ip(address: str) -> str:
    from reconciler.model.hosts import is_address

    if address and not is_address(address):
        raise UsageError(f"--admin-bind {address!r} is not an IP address", hint="0.0.0.0 is every one of the host's")
    return address


def _warn(policy: Policy[Proxy], built: Started) -> None:
    """What is allowed, and dangerous where it is not meant."""
    if built.exposed:
        print(
            f"warning: {policy.spec.admin} is Envoy's own admin endpoint, without TLS and open to whoever can reach it; only "
            "admin.allow_paths limits what they can do. An admin address of https://HOST:PORT puts a listener with mutual TLS in "
            "front of it",
            file=sys.stderr,
        )
    if built.plaintext:
        print(
            f"warning: {policy.key} and the daemon will speak without TLS: whoever is between them reads and changes what this proxy "
            "is told to do, and the daemon can't tell it from anybody else",
            file=sys.stderr,
        )


def _prepare(policy: Policy[Proxy], built: Started, root: str) -> None:
    from reconciler.push import prepare_directory, prepare_files, prepare_socket

    below = str(Path(root).absolute()) if root else ""
    created: list[str] = []
    files: Any = policy.spec.push.files
    if files is not None:
        created += prepare_directory(f"{below}{files.directory}")
    if built.socket:
        created += prepare_socket(f"unix://{below}{built.socket}")
    created += prepare_files({f"{below}{path}": value for path, value in built.files.items()})
    for path in created:
        print(f"created {path}", file=sys.stderr)
