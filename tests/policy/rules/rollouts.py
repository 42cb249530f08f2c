"""Rollouts and AnalysisTemplates."""

from __future__ import annotations

from tests.policy.rules.documents import doc

SPLIT = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: c}
spec:
  hosts: [c.default.svc.cluster.local]
  resolution: STATIC
  ports: [{name: http, number: 80}]
  endpoints: [{address: 10.0.0.3, labels: {version: v1}}, {address: 10.0.0.4, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: c}
spec: {host: c, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
---
"""
"""A service with two subsets."""

STABLE = "{destination: {host: c, subset: v1}, weight: 100}"
CANARY = "{destination: {host: c, subset: v2}, weight: 0}"
STEPS = "steps: [{setWeight: 5}]"
METRIC = "{name: request-success-rate, interval: 1m, thresholdRange: {min: 99}}"
COMPARING = "{name: request-success-rate, interval: 1m, provider: {envoy: {compareTo: stable}}}"


def service(*rules: str, name: str = "c", hosts: str = "[c]") -> str:
    """A VirtualService with these rules, or with one that splits between the two subsets."""
    listed = ", ".join(rules or (f"{{name: primary, route: [{STABLE}, {CANARY}]}}",))
    head = f"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}}}\n"
    return f"{head}spec: {{hosts: {hosts}, http: [{listed}]}}\n---\n"


SHARED = service(
    f"{{name: primary, match: [{{headers: {{x: {{regex: a.*}}}}}}, {{uri: {{prefix: /}}}}], route: [{STABLE}, {CANARY}]}}"
)
"""A VirtualService whose one rule matches something."""


def bare(fields: str, target: str = "target: {virtualService: {name: c}}") -> str:
    """A Rollout of these fields alone."""
    return doc("Rollout", f"spec: {{{target}, stable: v1, canary: v2, {fields}}}\n")


def rollout(fields: str, *before: str, target: str = "target: {virtualService: {name: c}}") -> str:
    """A Rollout of these fields, with what it moves."""
    return SPLIT + "".join(before or (service(),)) + bare(fields, target)


def steps(*listed: str) -> str:
    """A Rollout with these steps."""
    return rollout(f"steps: [{', '.join(listed)}]")


def analysis(fields: str) -> str:
    """A Rollout with this analysis and no steps."""
    return rollout(f"analysis: {{{fields}}}")


def template(metrics: str, args: str = "", name: str = "case") -> str:
    """An AnalysisTemplate with these metrics."""
    return doc("AnalysisTemplate", f"spec: {{{args}metrics: [{metrics}]}}\n").replace(
        "{name: case}", f"{{name: {name}}}"
    )


def metric(fields: str) -> str:
    """An AnalysisTemplate with one metric of a Prometheus, with these fields."""
    return template(f"{{name: m, thresholdRange: {{max: 1}}, {fields}}}")


def query(text: str) -> str:
    """An AnalysisTemplate with this query."""
    return metric(f"provider: {{prometheus: {{address: 'http://p:9090', query: {text}}}}}")


def golden(args: str = "", metrics: str = METRIC) -> str:
    """The AnalysisTemplate `golden`, to stand before a Rollout."""
    return template(metrics, args, "golden") + "---\n"


USE = "analysis: {templates: [{templateName: golden}]}"
FLAGGER = "interval: 1m, stepWeight: 5"

CASES: list[tuple[str, str]] = [
    ("rollout-status", bare(STEPS) + "status: {step: ^-1}\n"),
    ("rollout-status", bare(STEPS) + "status: {^weight: 5}\n"),
    ("rollout-status", bare(STEPS) + "status: {phase: ^Healthy}\n"),
    ("rollout-status", bare(STEPS) + "status: ^5\n"),
    ("unknown-field", template(METRIC) + "^status: {}\n"),
    ("unsupported-field", bare(f"{STEPS}, ^strategy: {{}}")),
    ("unsupported-field", bare("steps: [{^setCanaryScale: {weight: 5}}]")),
    ("missing-field", bare("steps: ^[]")),
    ("missing-field", bare("^analysis: {templates: [{templateName: golden}]}").replace("spec: {", "^spec: {").replace("^analysis", "analysis")),
    ("missing-field", bare(f"{STEPS}, ^analysis: {{startingStep: 0}}")),
    ("missing-field", bare(f"{STEPS}, analysis: {{^stepWeight: 5}}")),
    ("missing-field", bare(f"{STEPS}, analysis: {{^metrics: [{METRIC}]}}")),
    ("missing-field", bare(STEPS, "target: {virtualService: {name: c, routes: [^'']}}")),
    ("one-of", bare("steps: [^{}]")),
    ("one-of", bare("steps: [^{setWeight: 5, pause: {}}]")),
    ("one-of", bare(f"{STEPS}, analysis: {{^{FLAGGER}}}")),
    ("one-of", bare("analysis: {^interval: 1m}")),
    ("one-of", bare(f"analysis: {{{FLAGGER}, ^iterations: 5}}")),
    ("name", bare(STEPS, "target: {virtualService: {name: ^a/b/c}}")),
    ("name", bare(STEPS).replace("canary: v2", "canary: ^v_2")),
    ("name", bare(f"{STEPS}, analysis: {{templates: [{{templateName: ^No}}]}}")),
    ("name", bare("steps: [{setHeaderRoute: {name: ^No, match: [{headerName: x, headerValue: {exact: a}}]}}]")),
    ("duplicate-value", bare(STEPS).replace("canary: v2", "canary: ^v1")),
    ("duplicate-value", bare(STEPS, "target: {virtualService: {name: c, routes: [a, ^a]}}")),
    ("duplicate-value", bare(f"{STEPS}, analysis: {{templates: [{{templateName: a}}, {{templateName: ^a}}]}}")),
    ("duplicate-value", bare("steps: [{setHeaderRoute: {name: a, match: [{headerName: x, headerValue: {exact: a}}, {headerName: ^X, headerValue: {exact: b}}]}}]")),
    ("duplicate-value", bare("steps: [{setMirrorRoute: {name: a, percentage: 5}}, {setHeaderRoute: {name: ^a, match: [{headerName: x, headerValue: {exact: a}}]}}]")),
    ("header-name", bare("steps: [{setHeaderRoute: {name: a, match: [{headerName: ^'a b', headerValue: {exact: a}}]}}]")),
    ("one-of", bare("steps: [{setHeaderRoute: {name: a, match: [{headerName: x, ^headerValue: {}}]}}]")),
    ("regex", bare("steps: [{setMirrorRoute: {name: a, match: [{uri: {regex: ^'('}}]}}]")),
    ("value", bare("steps: [{setWeight: ^101}]")),
    ("value", bare(f"{STEPS}, step: ^3")),
    ("value", bare(f"{STEPS}, analysis: {{startingStep: ^2, templates: [{{templateName: a}}]}}")),
    ("value", bare("analysis: {interval: 1m, stepWeight: 50, startingStep: ^4}")),
    ("value", bare("analysis: {interval: 1m, stepWeight: ^0.01}")),
    ("value", bare("analysis: {interval: 1m, iterations: ^1001}")),
    ("value", bare("analysis: {interval: 1m, stepWeight: 5, maxWeight: ^0}")),
    ("duration", bare("steps: [{pause: {duration: ^0s}}]")),
    ("duration", bare("steps: [{pause: {duration: ^5 m}}]")),
    ("duration", bare("analysis: {interval: ^0s, stepWeight: 5}")),
    ("unsupported-field", bare("analysis: {interval: 1m, iterations: 5, match: [{^uri: {prefix: /a}}]}")),
    ("missing-field", bare("analysis: {interval: 1m, iterations: 5, match: [^{}]}")),
    ("pause-seconds", steps("{setWeight: 5}", "{pause: {duration: ^600}}")),
    ("pause-seconds", steps("{setWeight: 5}", "{pause: {duration: ^'600'}}")),
    ("weight-falls", steps("{setWeight: 50}", "{pause: {}}", "{setWeight: ^20}")),
    ("weight-falls", analysis("interval: 1m, stepWeights: [5, 50, ^20]")),
    ("no-effect", steps("{^setHeaderRoute: {name: a}}")),
    ("no-effect", steps("{setMirrorRoute: {name: a, ^percentage: 0}}")),
    ("no-effect", analysis("interval: 1m, stepWeights: [5], ^maxWeight: 50")),
    ("no-effect", analysis(f"{FLAGGER}, ^mirrorWeight: 50")),
    ("no-effect", analysis(f"{FLAGGER}, ^match: [{{headers: {{x: {{exact: a}}}}}}]")),
    ("no-effect", analysis("interval: 1m, iterations: 2, ^mirror: true, match: [{headers: {x: {exact: a}}}]")),
    ("no-effect", analysis(f"{FLAGGER}, ^threshold: 5")),
    ("no-effect", rollout(f"{STEPS}, ^falseAlarmRate: 0.05")),
    ("no-effect", rollout("steps: [{setHeaderRoute: {name: a, match: ^[{headerName: x, headerValue: {exact: b}}]}}]", service(f"{{match: [{{headers: {{x: {{exact: a}}}}}}], route: [{STABLE}, {CANARY}]}}"))),
    # templates
    ("missing-field", template("").replace("spec: {metrics: []", "spec: {metrics: ^[]")),
    ("metric-provider", template("{name: ^request-sucess-rate, thresholdRange: {min: 99}}")),
    ("metric-provider", template("{name: ^errors, thresholdRange: {min: 99}, provider: {envoy: {}}}")),
    ("no-condition", template("^{name: request-duration}")),
    ("no-condition", template("^{name: request-duration, thresholdRange: {}}")),
    ("no-condition", template("^{name: m, provider: {prometheus: {address: 'http://p:9090', query: up}}}")),
    ("value", template("{name: request-duration, thresholdRange: {^min: 9, max: 1}}").replace("^min: ", "min: ^")),
    ("duplicate-value", template(f"{METRIC}, {METRIC.replace('request-s', '^request-s')}")),
    ("duplicate-value", template(METRIC, "args: [{name: a}, {name: ^a}], ")),
    ("name", template(METRIC, "args: [{name: ^a b}], ")),
    ("name", template("{name: ^a b, thresholdRange: {min: 99}}")),
    ("one-of", metric("^provider: {envoy: {}, prometheus: {address: 'http://p:9090', query: up}}")),
    ("unsupported-field", metric("^successCondition: 'true', provider: {prometheus: {address: 'http://p:9090', query: up}}")),
    ("address", metric("provider: {prometheus: {address: ^'p:9090', query: up}}")),
    ("address", metric("provider: {prometheus: {address: ^'http://p:9090', query: up, tokenFile: /t}}")),
    ("address", metric("provider: {prometheus: {address: ^'http://u:p@p:9090', query: up}}")),
    ("value", metric("provider: {prometheus: {address: 'https://p:9090', query: up, tokenFile: ^t}}")),
    ("no-effect", metric("provider: {prometheus: {address: 'http://p:9090', query: up, ^insecure: true}}")),
    ("no-effect", metric("^minRequests: 5, provider: {prometheus: {address: 'http://p:9090', query: up}}")),
    ("no-effect", template("{name: request-success-rate, thresholdRange: {min: 99}, provider: {envoy: {^percentile: 5}}}")),
    ("no-effect", template("{name: request-success-rate, thresholdRange: {min: 99}, provider: {envoy: {^users: 5}}}")),
    ("no-effect", template("{name: request-duration, interval: 1m, count: 3, ^failureLimit: 3, thresholdRange: {max: 5}}")),
    ("missing-field", template("{name: request-duration, ^count: 3, thresholdRange: {max: 5}}")),
    ("duration", template("{name: request-duration, interval: ^0s, thresholdRange: {max: 5}}")),
    ("control-character", query('^"up\\t"')),
    ("query-placeholder", query("^'up{{arg.a}}'")),
    ("query-placeholder", query("^'up{{args.a}}'")),
    ("query-placeholder", query("^'up{{ target'")),
    # other documents
    ("ref-route", SPLIT + service() + bare(STEPS, "target: {virtualService: {name: ^d}}")),
    ("ref-route", rollout(STEPS, target="target: {virtualService: {name: c, routes: [^primry]}}")),
    ("ref-route", rollout(STEPS, service(f"{{match: [{{port: 80}}], route: [{STABLE}, {CANARY}]}}", f"{{route: [{STABLE}, {CANARY}]}}"), target="target: {^virtualService: {name: c}}")),
    ("ref-split", rollout(STEPS, service(f"{{route: [{STABLE}]}}")).replace("canary: v2", "canary: ^v2")),
    ("ref-split", rollout(STEPS, service(f"{{route: [{STABLE}, {{destination: {{host: c, subset: v2, port: {{number: 80}}}}, weight: 0}}]}}")).replace("canary: v2", "canary: ^v2")),
    ("ref-split", rollout(STEPS, service(f"{{route: [{STABLE}, {{destination: {{host: c, subset: v2}}}}]}}"), target="target: {^virtualService: {name: c}}")),
    ("ref-split", rollout("steps: [{setHeaderRoute: {name: a, match: ^[{headerName: X, headerValue: {regex: b}}]}}]", SHARED)),
    ("ref-split", rollout("steps: [{setMirrorRoute: {name: a, match: [^{uri: {regex: /a.*}}]}}]", SHARED)),
    ("ref-split", rollout("analysis: {interval: 1m, iterations: 2, match: [^{headers: {x: {prefix: a}}}]}", SHARED)),
    ("ref-template", rollout(f"{STEPS}, {USE}").replace("golden", "^golden")),
    ("ref-template", rollout("steps: [{analysis: {templates: [{templateName: ^gold}]}}]", service(), golden())),
    ("ref-argument", rollout(f"{STEPS}, {USE}".replace("golden", "^golden"), service(), golden("args: [{name: a}], "))),
    ("ref-argument", rollout(f"{STEPS}, {USE.replace('}]}', '}], args: [{name: ^b, value: c}]}')}", service(), golden("args: [{name: a, value: b}], "))),
    ("ref-argument", rollout(f"{STEPS}, {USE.replace('}]}', '}], args: [^{name: a}]}')}", service(), golden("args: [{name: a, value: b}], "))),
    ("ref-rollout-shared", rollout(f"{STEPS}, {USE}", service("{match: [{headers: {x: {exact: a}}}], route: [{destination: {host: c, subset: v2}}]}", f"{{name: primary, route: [{STABLE}, {CANARY}]}}"), golden(metrics=COMPARING), target="target: {virtualService: {name: c, routes: [primary]}}").replace("canary: v2", "canary: ^v2")),
    ("ref-rollout-shared", rollout(f"steps: [{{^setHeaderRoute: {{name: a, match: [{{headerName: x, headerValue: {{exact: a}}}}]}}}}], {USE}", service(), golden(metrics=COMPARING))),
    # the Mesh
    ("missing-field", doc("Mesh", "spec: {record: {mode: ^pull-request}}\n")),
    ("one-of", doc("Mesh", "spec: {record: {mode: pull-request, ^forge: {}}}\n")),
    ("no-effect", doc("Mesh", "spec: {record: {^forge: {github: {repository: a/b, tokenFile: /t}}}}\n")),
    *(("value", doc("Mesh", f"spec: {{record: {{mode: pull-request, forge: {{github: {{repository: ^{name}, tokenFile: /t}}}}}}}}\n")) for name in ("a", "a/b/c", "a/..", "a/b.git")),
    ("value", doc("Mesh", "spec: {record: {mode: pull-request, forge: {github: {repository: a/b, tokenFile: ^t}}}}\n")),
    ("address", doc("Mesh", "spec: {record: {mode: pull-request, forge: {github: {repository: a/b, tokenFile: /t, api: ^'http://example.com'}}}}\n")),
    ("one-of", doc("Mesh", "spec: {record: {mode: pull-request, ^forge: {github: {repository: a/b, tokenFile: /t}, gitlab: {project: a/b, tokenFile: /t}}}}\n")),
    *(("value", doc("Mesh", f"spec: {{record: {{mode: pull-request, forge: {{gitlab: {{project: ^{name}, tokenFile: /t}}}}}}}}\n")) for name in ("a", "a/../b", "/a/b", "a/b.git")),
    ("value", doc("Mesh", "spec: {record: {mode: pull-request, forge: {gitlab: {project: a/b/c, tokenFile: ^t}}}}\n")),
    ("address", doc("Mesh", "spec: {record: {mode: pull-request, forge: {gitlab: {project: '12', tokenFile: /t, api: ^'http://example.com'}}}}\n")),
    ("one-of", doc("Mesh", "spec: {notifications: [^{}]}\n")),
    ("one-of", doc("Mesh", "spec: {notifications: [^{url: 'https://a.example.com', urlFile: /a}]}\n")),
    ("address", doc("Mesh", "spec: {notifications: [{url: ^'http://a.example.com'}]}\n")),
    ("value", doc("Mesh", "spec: {notifications: [{urlFile: ^a}]}\n")),
]  # fmt: skip

PAIRS: list[tuple[str, str]] = [
    (
        "ref-duplicate-rollout",
        bare(STEPS, "target: {^virtualService: {name: c}}")
        + "---\n"
        + bare(STEPS, "target: {^virtualService: {name: c, routes: [primary]}}").replace("case", "other")
        + "---\n"
        + SPLIT
        + service().removesuffix("---\n"),
    ),
]
