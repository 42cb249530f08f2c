"""Proxy and Mesh: our own kinds (`reconciler/v1alpha1`), the members of the fleet and what holds for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from reconciler.model.discovery import Registry
from reconciler.model.freeze import Freeze, Suspension
from reconciler.model.sidecar import OutboundTrafficPolicy
from reconciler.model.spec import Duration, Labels, Spec
from reconciler.model.telemetry import Metrics, Telemetry


class FilesPush(Spec):
    """Envoy's filesystem xDS, on this host.

    Attributes:
        directory: Absolute path that the reconciler writes and this Envoy alone reads.
    """

    directory: Annotated[str, Field(min_length=1)]


class RuntimeRoute(Spec):
    """One split of a VirtualService, and the runtime keys of the Envoy route that carries it.

    Attributes:
        virtual_service: `name` or `namespace/name`.
        route: Name of the `http` rule; may be left out where there is only one.
        prefix: The live route's `runtime_key_prefix`; keys are `<prefix>.<cluster>`.
        clusters: Envoy's cluster name by subset; all clusters of the live route, and no other.
    """

    virtual_service: Annotated[str, Field(min_length=1)]
    route: str = ""
    prefix: Annotated[str, Field(min_length=1)]
    clusters: Mapping[str, str]


class RuntimePush(Spec):
    """Weights through `POST /runtime_modify`, for an Envoy that someone else configures.

    Attributes:
        routes: The splits that are moved; nothing else of that Envoy is touched.
    """

    routes: tuple[RuntimeRoute, ...] = ()


class Client(StrEnum):
    """What speaks xDS at the other end of a stream. GRPC: a gRPC application that is its own proxy (`xds:///`)."""

    ENVOY = "envoy"
    GRPC = "grpc"


class AdsPush(Spec):
    """Aggregated discovery: the proxy holds a stream to the daemon, and is sent what changes for it.

    Attributes:
        client: `envoy`, or `grpc` for a gRPC application without a proxy.
    """

    client: Client = Client.ENVOY


class Push(Spec):
    """How a proxy gets its configuration: exactly one.

    Attributes:
        ads: A stream to the daemon, from any host.
        files: Envoy's filesystem xDS, on this host.
        runtime: Weights only, for an Envoy that someone else configures.
    """

    ads: AdsPush | None = None
    files: FilesPush | None = None
    runtime: RuntimePush | None = None

    @property
    def whole(self) -> bool:
        """Whether it is an Envoy, all of whose configuration is ours."""
        return self.files is not None or (self.ads is not None and self.ads.client is Client.ENVOY)

    @property
    def proxyless(self) -> bool:
        """Whether it is a gRPC application that is its own proxy."""
        return self.ads is not None and self.ads.client is Client.GRPC


class Certificates(Spec):
    """Files on a proxy's own host that TLS settings refer to. Envoy reads them again when they are replaced.

    Attributes:
        directory: Where `credentialName`s are: each a folder with `tls.crt`, `tls.key` and `ca.crt`.
        certificate_chain: The proxy's own certificate, for `ISTIO_MUTUAL` and for its stream to the daemon.
        private_key: Its key, for the same.
        root_certificate: The CAs that other proxies and the daemon are checked against, for the same.
        system_certificates: The CAs that others are checked against where a policy names none;
            `/etc/ssl/certs/ca-certificates.crt` by default.
    """

    directory: str = ""
    certificate_chain: str = ""
    private_key: str = ""
    root_certificate: str = ""
    system_certificates: str = ""


class Proxy(Spec):
    """One Envoy.

    Attributes:
        workload: Name of the WorkloadEntry (same namespace) this sidecar belongs to; "" on a gateway.
        labels: A gateway's labels, matched by `Gateway.spec.selector`.
        admin: `http://host:port` or `unix:///path/admin.sock`; `https://host:port` for a read-only listener in front of it, with
            mutual TLS. A proxy on `ads` may have none: then its own word (`acked`) is all that is known of it.
        push: How it gets its configuration: exactly one of `ads`, `files` and `runtime`.
        locality: A gateway's `region/zone/subzone`; a sidecar has its workload's.
        certificates: Where its certificates are, field by field before what `Mesh` says.
        metrics: Where its metrics are scraped, in place of what `Mesh.telemetry` says.
    """

    workload: str = ""
    labels: Labels = {}
    locality: str = ""
    certificates: Certificates = Certificates()
    admin: str = ""
    push: Push
    metrics: Metrics | None = None


class DriftPolicy(StrEnum):
    """What is done about changes that Git does not know of."""

    CORRECT = "correct"
    REPORT = "report"


class Interception(StrEnum):
    """How traffic gets into sidecars.

    NONE: listeners bind real ports. REDIRECT: iptables sends connections to ports 15001 (out) and 15006 (in), and Envoy asks
    the kernel where they were going.
    """

    NONE = "NONE"
    REDIRECT = "REDIRECT"


class RecordMode(StrEnum):
    """How steps reach a policy branch."""

    COMMIT = "commit"
    PULL_REQUEST = "pull-request"


class GitHub(Spec):
    """A repository on GitHub, or on a server that speaks its REST API.

    Attributes:
        repository: `owner/name`.
        api: The API's address; a GitHub Enterprise Server has `https://host/api/v3`.
        token_file: Path on the daemon's host of a file with a token that may write contents and pull requests.
    """

    repository: Annotated[str, Field(min_length=1)]
    api: Annotated[str, Field(min_length=1)] = "https://api.github.com"
    token_file: Annotated[str, Field(min_length=1)]


class GitLab(Spec):
    """A project on GitLab, whose merge requests are what is called pull requests here.

    Attributes:
        project: Its path with all its groups, `group/project`, or its number.
        api: The API's address, up to `/api/v4`.
        token_file: Path on the daemon's host of a file with a token of the scope `api`, of a Developer or more.
    """

    project: Annotated[str, Field(min_length=1)]
    api: Annotated[str, Field(min_length=1)] = "https://gitlab.com/api/v4"
    token_file: Annotated[str, Field(min_length=1)]


class Forge(Spec):
    """Where pull requests are opened: exactly one.

    Attributes:
        github: GitHub.
        gitlab: GitLab.
    """

    github: GitHub | None = None
    gitlab: GitLab | None = None


class RecordSettings(Spec):
    """Where receipts go, and how the steps of rollouts reach the policy branch.

    Attributes:
        branch: Where receipts go. Written by the reconciler only.
        mode: How steps reach the policy branch: as commits, or, where it is protected, by pull requests (`pull-request`).
        forge: Where pull requests are opened, for `pull-request`.
    """

    branch: Annotated[str, Field(min_length=1)] = "reconciler/record"
    mode: RecordMode = RecordMode.COMMIT
    forge: Forge | None = None


class NotificationFormat(StrEnum):
    """The body of a notification. JSON: our own, documented in docs/rollouts.md. SLACK: what Slack's incoming webhooks take."""

    JSON = "json"
    SLACK = "slack"


class Notification(Spec):
    """Somebody who is told when a rollout comes into another state, once for each: exactly one of `url` and `urlFile`.

    Attributes:
        url: Where to POST to.
        url_file: Path on the daemon's host of a file with the URL, where that is a secret (Slack's are).
        format: `json` or `slack`.
    """

    url: str = ""
    url_file: str = ""
    format: NotificationFormat = NotificationFormat.JSON


class OnReject(StrEnum):
    """What is done when a proxy refuses something.

    HOLD: that one resource stays as it was; everything else goes on. REVERT: in addition, the commit that brought it is reverted
    on the policy branch.
    """

    HOLD = "hold"
    REVERT = "revert"


class Guards(Spec):
    """Limits on what one pass may do without acknowledgement.

    Attributes:
        max_weight_increase: Percentage points by which a destination's share may grow in one change.
        max_delete_percent: Percent of a proxy's live resources that may be deleted at once.
    """

    max_weight_increase: Annotated[float, Field(ge=0, le=100)] = 50
    max_delete_percent: Annotated[float, Field(ge=0, le=100)] = 30


class MeshSpec(Spec):
    """Mesh-wide settings; every field has its default when there is no Mesh document.

    Attributes:
        domain: What short names are completed with: `<name>.<namespace>.svc.<domain>`.
        outbound_traffic_policy: Requests for hosts that no service has.
        interception: How traffic gets into sidecars; `NONE`, listeners bind real ports; `REDIRECT`, iptables sends it.
        certificates: Where proxies have their certificates.
        drift: Whether changes that Git does not know of are put right (`correct`) or only reported (`report`).
        record: Where receipts go.
        guards: Limits on what one pass may do without acknowledgement.
        verify_deadline: How long a pass waits for each phase of a push to be confirmed.
        on_reject: When a proxy refuses something: `hold` that resource as it was, or also `revert` the commit that brought it.
        admin_allow: Admin addresses that proxies may announce beside one on their own address: IP addresses or networks
            (`10.0.0.0/8`).
        notifications: Who is told of rollouts.
        discovery: Where services and instances are found that are not in Git; of two that say different things, the first counts.
        freezes: When nothing changes, by schedules. Drift is corrected, and what goes back or aborts passes.
        suspend: That nothing changes for now, and why.
        telemetry: What proxies tell of the requests that they carry: metrics, access logs, traces.
    """

    domain: Annotated[str, Field(min_length=1)] = "cluster.local"
    outbound_traffic_policy: OutboundTrafficPolicy = OutboundTrafficPolicy()
    interception: Interception = Interception.NONE
    certificates: Certificates = Certificates(directory="/etc/envoy/credentials")
    drift: DriftPolicy = DriftPolicy.CORRECT
    record: RecordSettings = RecordSettings()
    verify_deadline: Duration = timedelta(seconds=10)
    guards: Guards = Guards()
    on_reject: OnReject = OnReject.HOLD
    admin_allow: tuple[str, ...] = ()
    notifications: tuple[Notification, ...] = ()
    discovery: tuple[Registry, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    suspend: Suspension | None = None
    telemetry: Telemetry = Telemetry()
