"""Every code that loading can give a diagnostic, and what it means: the table behind the documentation.

Codes about other documents begin with `ref-`. Users script against codes, so one is never given a second meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

CODES: Mapping[str, str] = MappingProxyType(
    {
        # files
        "file-kind": "a symbolic link, submodule or special file stands where policies are read",
        "file-name": "a file name is not UTF-8, or has characters that can't be shown",
        "file-size": "a file is larger than is read",
        "no-policies": "there is no policy file at all",
        "template-name": "a file in envoy-templates/ overrides nothing",
        # text
        "yaml-syntax": "the text is not YAML",
        "yaml-encoding": "the text is not UTF-8",
        "yaml-control-character": "the text has a NUL or another control character",
        "yaml-duplicate-key": "a mapping has a key twice",
        "yaml-alias": "an alias has no anchor, or aliases expand to too much",
        "yaml-depth": "the nesting is too deep",
        "yaml-key": "a mapping key is not a string",
        "yaml-merge-key": "a merge key (`<<`) is used",
        "yaml-tag": "a tag (`!!str`) is used",
        "yaml-directive": "a directive other than %YAML 1.2 is used",
        "yaml-number": "a number means different things to different readers, or can't be carried by JSON",
        # documents
        "document": "a document is not a mapping",
        "api-version": "the apiVersion is missing, or not one that this kind has",
        "unknown-kind": "the kind is missing, or its group has no such kind",
        "unsupported-kind": "the kind exists and is not carried out",
        "skipped-kind": "the kind is not a traffic policy and is left alone (warning)",
        "name": "a name or namespace is not a valid Kubernetes name",
        "label": "a label's name or value is not valid",
        # fields
        "unknown-field": "there is no such field",
        "unsupported-field": "the field exists in the API and is not carried out",
        "unsupported-value": "the choice exists in the API and is not carried out",
        "deprecated-field": "the field or choice has a newer one (warning)",
        "no-effect": "the field changes nothing where it stands (warning)",
        "missing-field": "a required field is missing or empty",
        "type": "a value is of the wrong type",
        "enum": "a value is not one of the choices",
        "value": "a value is out of range, or not of the form that the field takes",
        "duration": "a value is not a duration, or too short a one",
        "control-character": "a string has a control character",
        "host": "a host name is not of the form that the field takes",
        "address": "an address is not one that can be listened on, sent to or asked",
        "regex": "a regular expression is not RE2, Envoy's syntax, or too large",
        "header-name": "a header's name is not valid, or it can't be changed",
        "header-value": "a header's value has a command that Envoy can't read",
        "retry-on": "a retry condition is unknown",
        "cipher-suite": "a cipher suite is unknown",
        "one-of": "exactly one, or at most one, of several fields may be set",
        "duplicate-value": "a value that has to be unique stands twice in one document",
        # routes
        "weight-negative": "a weight is negative",
        "weights-limit": "the weights of a split total more than Envoy takes",
        "weights-zero": "the weights of a split total 0",
        "weights-sum": "the weights of a split total neither 100 nor 1,000, 10,000 or 100,000 (warning)",
        "unreachable-route": "an earlier rule or match takes all the requests of this one (warning)",
        "duplicate-route-name": "two rules of a VirtualService have one name (warning)",
        "duplicate-destination": "a split has one destination twice (warning)",
        "retry-unsafe": "retries may carry a request out twice (warning)",
        "large-body": "a direct response is large (warning)",
        "no-endpoints": "a service has no endpoints (warning)",
        # other documents
        "ref-host": "no service has this host (a warning where it changes nothing), or it is not exported to those who would use it",
        "ref-subset": "the host has no such subset, or (warning) not for some of the proxies that would use it",
        "ref-port": "the service has no such port, or several and none is named; or nothing sends to a port (warning)",
        "ref-protocol": "what is sent to a port isn't what the port speaks (warning)",
        "ref-rules": "none of the ports that a VirtualService is for uses rules of this kind (warning)",
        "ref-delegate": "there is no VirtualService to delegate to, or it can't be used so; or nobody delegates to one (warning)",
        "ref-gateway": "there is no such Gateway, or (warning) a match names one that the VirtualService isn't bound to",
        "ref-gateway-host": "the Gateway takes no requests for this host (warning)",
        "ref-gateway-conflict": "two Gateways want the same connections of the same proxies",
        "ref-visibility": "exportTo hides a document from all proxies that would use it (warning)",
        "ref-namespace": "no document is in this namespace (warning)",
        "ref-certificates": "a certificate is asked for that no document names (warning)",
        "ref-workload": "there is no such WorkloadEntry",
        "ref-route": "there is no such VirtualService, rule or subset to map or to limit; or the rule can't be limited (warning)",
        "ref-endpoints": "a subset selects no endpoint (warning)",
        "ref-selector": "a selector selects nothing (warning)",
        "ref-port-name": "no service that selects the workload has a port of this name (warning)",
        "ref-duplicate": "two documents have one kind and name, or there are two Mesh documents",
        "ref-duplicate-host": "two documents declare one host, or (warning) rules for one host say the same",
        "conflicting-hosts": "rules of two VirtualServices take every request for one host",
        "ref-duplicate-address": "two services have one address and port, and nothing else tells connections apart (warning)",
        "ref-duplicate-sidecar": "two Sidecars apply to the same workloads (a warning where they also apply to others)",
        "ref-duplicate-limit": "two RateLimits limit the same requests, or mean different things by one limit of a domain",
        "ref-shared-port": "a limited Gateway shares a port with another one (warning)",
        "ref-several-counts": "a local limit counts apart for each match of a rule (warning)",
        "ref-duplicate-proxy": "two proxies share an admin address or a directory",
    }
)
