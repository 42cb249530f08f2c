"""Documents that say everything that their kinds can: each loads without an error, and together they use every field."""

from __future__ import annotations

ROUTES = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: whole}
spec:
  hosts: [a, "*.example.com"]
  gateways: [mesh, edge]
  exportTo: ["."]
  http:
  - name: conditions
    match:
    - name: first
      uri: {exact: /a}
      ignoreUriCase: true
      scheme: {exact: https}
      method: {regex: GET|HEAD}
      authority: {prefix: a.}
      headers: {x-a: {exact: a}}
      withoutHeaders: {x-b: {regex: "*"}}
      queryParams: {q: {}}
      port: 80
      sourceLabels: {app: b}
      sourceNamespace: default
      statPrefix: a
    - gateways: [mesh]
      uri: {regex: "/b/.*"}
    route:
    - destination: {host: a, subset: v1, port: {number: 80}}
      weight: 90
      headers:
        request: {set: {x-c: "%REQ(x-a)%"}, add: {x-d: d}, remove: [x-e]}
        response: {set: {x-c: 100%%}, add: {x-d: d}, remove: [x-e]}
    - destination: {host: two, port: {number: 80}}
      weight: 10
    headers: {request: {set: {x-f: f}}}
    rewrite: {uri: /c, authority: c.example.com}
    timeout: 2s
    retries:
      attempts: 2
      perTryTimeout: 500ms
      retryOn: connect-failure,503
      backoff: 25ms
      retryRemoteLocalities: true
      retryIgnorePreviousHosts: false
    fault:
      delay: {fixedDelay: 1s, percentage: {value: 0.5}}
      abort: {httpStatus: 503, percentage: {value: 0.0001}}
    mirrors: [{destination: {host: two, port: {number: 81}}, percentage: {value: 5}}]
    corsPolicy:
      allowOrigins: [{exact: "https://a.example.com"}, {prefix: "https://"}]
      allowMethods: [GET, PUT]
      allowHeaders: ["*"]
      exposeHeaders: [x-a]
      maxAge: 24h
      allowCredentials: true
      unmatchedPreflights: IGNORE
  - name: older
    match: [{uri: {prefix: /older}}]
    fault: {abort: {grpcStatus: UNAVAILABLE, percentage: {value: 1}}, delay: {fixedDelay: 1s, percent: 5}}
    mirror: {host: two, port: {number: 81}}
    mirrorPercentage: {value: 5}
    mirrorPercent: 5
    corsPolicy: {allowOrigin: ["*"]}
    rewrite: {uriRegexRewrite: {match: "^/older/(.*)$", rewrite: '/\\1'}}
    route: [{destination: {host: a}}]
  - match: [{uri: {prefix: /moved}}]
    redirect: {uri: /new, authority: b.example.com, port: 8443, scheme: https, redirectCode: 308}
  - match: [{uri: {prefix: /prefix}}]
    redirect: {prefixRewrite: /new, derivePort: FROM_REQUEST_PORT}
  - match: [{uri: {prefix: /text}}]
    directResponse: {status: 200, body: {string: hello}}
  - match: [{uri: {prefix: /bytes}}]
    directResponse: {status: 200, body: {bytes: aGVsbG8=}}
  - match: [{uri: {prefix: /others}}]
    delegate: {name: others, namespace: default}
  tls:
  - match:
    - sniHosts: [x.example.com]
      destinationSubnets: [10.0.0.0/8]
      port: 443
      sourceLabels: {app: b}
      sourceNamespace: default
      gateways: [mesh]
    route: [{destination: {host: two, port: {number: 81}}, weight: 100}]
  tcp:
  - match: [{destinationSubnets: ["::1"], port: 81, sourceLabels: {app: b}, sourceNamespace: default, gateways: [mesh]}]
    route: [{destination: {host: two, port: {number: 81}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: others}
spec:
  http: [{route: [{destination: {host: a}}]}]
"""

TRAFFIC = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: whole}
spec:
  host: two
  exportTo: ["."]
  workloadSelector: {matchLabels: {app: a}}
  trafficPolicy:
    loadBalancer:
      simple: LEAST_REQUEST
      localityLbSetting:
        enabled: true
        distribute: [{from: us/*, to: {us/a: 70, us/b: 30}}]
      warmup: {duration: 30s, minimumPercent: 5, aggression: 1.5}
      warmupDurationSecs: 30s
    connectionPool:
      tcp:
        maxConnections: 100
        connectTimeout: 1s
        maxConnectionDuration: 1h
        idleTimeout: 10m
        tcpKeepalive: {probes: 3, time: 1m, interval: 10s}
      http:
        http1MaxPendingRequests: 10
        http2MaxRequests: 10
        maxRequestsPerConnection: 10
        maxRetries: 3
        idleTimeout: 1m
        h2UpgradePolicy: DO_NOT_UPGRADE
        useClientProtocol: true
        maxConcurrentStreams: 100
        http2KeepAlive: {interval: 30s, timeout: 5s}
    outlierDetection:
      consecutive5xxErrors: 5
      consecutiveGatewayErrors: 3
      consecutiveErrors: 3
      splitExternalLocalOriginErrors: true
      consecutiveLocalOriginFailures: 2
      interval: 10s
      baseEjectionTime: 30s
      maxEjectionPercent: 50
      minHealthPercent: 20
      outlierDetectionHttpErrorCodes: [500, 503]
    tls: {mode: MUTUAL, clientCertificate: /c, privateKey: /k, caCertificates: /a, caCrl: /r, subjectAltNames: [two], sni: two}
    portLevelSettings:
    - port: {number: 80}
      loadBalancer: {consistentHash: {httpHeaderName: x-user, ringHash: {minimumRingSize: 1024}}}
      connectionPool: {tcp: {maxConnections: 1}}
      outlierDetection: {interval: 5s}
      tls: {mode: SIMPLE, insecureSkipVerify: true}
    - port: {number: 81}
      loadBalancer: {consistentHash: {httpQueryParameterName: q, maglev: {tableSize: 65537}}}
      tls: {mode: SIMPLE, credentialName: two}
    proxyProtocol: {version: V2}
    retryBudget: {percent: 25, minRetryConcurrency: 5}
  subsets:
  - name: V1
    labels: {version: v1}
    trafficPolicy:
      loadBalancer:
        consistentHash:
          httpCookie: {name: user, path: /, ttl: 0s, attributes: [{name: SameSite, value: Strict}]}
          minimumRingSize: 2048
      tunnel: {protocol: CONNECT, targetHost: example.com, targetPort: 443}
  - name: v2
    trafficPolicy:
      loadBalancer:
        consistentHash: {useSourceIp: true}
        localityLbSetting: {failover: [{from: us, to: eu}], failoverPriority: ["topology.istio.io/network=n"]}
"""

SERVICES = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: written}
spec:
  hosts: [written.example.com]
  addresses: [10.1.0.0/16, "2001:db8::1"]
  ports: [{number: 443, name: tls, protocol: tls, targetPort: 8443}]
  location: MESH_INTERNAL
  resolution: STATIC
  endpoints:
  - {address: 10.0.0.2, ports: {tls: 8444}, labels: {version: v1}, locality: us/a/b, weight: 2, serviceAccount: written}
  - {address: "unix://@abstract"}
  exportTo: ["~"]
  subjectAltNames: [written.example.com]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: selected}
spec:
  hosts: [selected.example.com]
  ports: [{number: 80, name: http}]
  resolution: STATIC
  workloadSelector: {labels: {app: a}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: whole}
spec: {address: whole.example.com, ports: {http: 8080}, labels: {app: a}, locality: us/a, weight: 1, serviceAccount: a}
"""

EDGES = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: whole}
spec:
  selector: {role: edge}
  servers:
  - name: plain
    port: {number: 80, name: http, protocol: HTTP}
    bind: 0.0.0.0
    hosts: ["default/*.example.com", "./a.example.org", 192.0.2.1]
    tls: {httpsRedirect: true}
  - port: {number: 443, name: files, protocol: HTTPS}
    hosts: ["*"]
    tls:
      mode: MUTUAL
      serverCertificate: /c
      privateKey: /k
      caCertificates: /a
      caCrl: /r
      subjectAltNames: [client]
      verifyCertificateSpki: [47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=]
      verifyCertificateHash: [e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855]
      minProtocolVersion: TLSV1_2
      maxProtocolVersion: TLSV1_3
      cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256, "[AES128-SHA|AES256-SHA]"]
  - port: {number: 8443, name: folders, protocol: HTTPS}
    hosts: ["*"]
    tls: {mode: OPTIONAL_MUTUAL, credentialNames: [rsa, ecdsa], caCertCredentialName: ca, insecureSkipVerify: true}
  - port: {number: 8444, name: folder, protocol: HTTPS}
    hosts: ["*"]
    tls: {mode: SIMPLE, credentialName: edge}
  - port: {number: 8445, name: pairs, protocol: HTTPS}
    hosts: ["*"]
    tls: {mode: SIMPLE, tlsCertificates: [{serverCertificate: /c, privateKey: /k}]}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: whole}
spec:
  workloadSelector: {labels: {app: a}}
  ingress:
  - port: {number: 8443, protocol: HTTPS, name: https}
    bind: 127.0.0.1
    captureMode: NONE
    defaultEndpoint: 127.0.0.1:8080
    tls: {mode: SIMPLE, serverCertificate: /c, privateKey: /k}
    connectionPool: {http: {http2MaxRequests: 10}}
  - port: {number: 8081}
    defaultEndpoint: unix://@app
  egress:
  - port: {number: 8080, protocol: HTTP_PROXY, name: proxy}
    bind: 127.0.0.1
    captureMode: NONE
    hosts: ["./*", "*/*.example.com"]
  - hosts: ["~/*"]
  inboundConnectionPool: {tcp: {maxConnections: 10}}
  outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: two, subset: v1, port: {number: 80}}}
"""

DOCUMENTS = (ROUTES, TRAFFIC, SERVICES, EDGES)
