"""What a cluster is made of, and where in which document each part of it was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic.alias_generators import to_camel

from reconciler.compile.effective import Effective
from reconciler.compile.index import Rule
from reconciler.compile.names import ClusterRef
from reconciler.compile.viewer import Viewer
from reconciler.errors import Severity
from reconciler.model.origin import FieldPath, Finding, Origin
from reconciler.model.services import Endpoint, Port, Service, selected


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One cluster to be, as one viewer has it.

    Attributes:
        service: The service, or None if the viewer sees none of this host.
        port: Its port, or None if it has no such port.
        rule: The DestinationRule that holds.
        policy: What that says for this port and subset.
        redirected: Whether connections come to this proxy by way of iptables, so that it knows where they were going.
        domain: The mesh's, which is its trust domain too.
    """

    ref: ClusterRef
    service: Service | None
    port: Port | None
    rule: Rule | None
    policy: Effective
    viewer: Viewer
    redirected: bool
    domain: str

    @property
    def is_http(self) -> bool:
        """Whether requests are sent to it one by one."""
        return self.port is None or self.port.protocol.is_http

    @property
    def labels(self) -> Mapping[str, str] | None:
        """What endpoints must carry, or None if there is no such subset."""
        if not self.ref.subset:
            return {}
        subset = self.rule.subsets.get(self.ref.subset) if self.rule else None
        return subset.labels if subset else None

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The service's endpoints that carry the subset's labels; none of a host, port or subset that nobody declares."""
        if self.service is None or self.port is None or self.labels is None:
            return ()
        return tuple(item for item in self.service.endpoints if selected(item.labels, self.labels))

    def finding(self, *, code: str, message: str, block: str, hint: str, severity: Severity) -> Finding:
        """A finding at a block of the traffic policy that holds, such as `outlier_detection`."""
        origin, path = written(self.rule, self.ref, block)
        return Finding(code=code, message=message, hint=hint, severity=severity, origin=origin, path=path)


def written(rule: Rule | None, ref: ClusterRef, block: str) -> tuple[Origin | None, FieldPath]:
    """Where the DestinationRule says what holds for a block: the mirror of `effective`."""
    for name in dict.fromkeys((ref.subset, "")):
        subset = rule.subsets.get(name) if rule and name else None
        policy = subset.traffic_policy if subset else rule.traffic_policy if rule and not name else None
        if rule is None or policy is None:
            continue
        origin, start = rule.sources[name]
        path: FieldPath = (*start, "trafficPolicy")
        number, settings = next(
            (
                (position, item)
                for position, item in enumerate(policy.port_level_settings)
                if item.port and item.port.number == ref.port
            ),
            (0, None),
        )
        if settings is not None and getattr(settings, block, None) is not None:
            return origin, (*path, "portLevelSettings", number, to_camel(block))
        if settings is None and getattr(policy, block) is not None:
            return origin, (*path, to_camel(block))
    return None, ()
