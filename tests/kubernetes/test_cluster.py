"""What services follow from a cluster's objects."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.discovery.contract import Event, Gone, Put
from reconciler.discovery.platforms.kubernetes import records
from reconciler.discovery.platforms.kubernetes.cluster import Cluster, Resource
from reconciler.discovery.platforms.kubernetes.protocols import spoken
from reconciler.discovery.platforms.kubernetes.records import MalformedError, Record
from reconciler.model.discovered import Found, Instance
from reconciler.model.protocol import Protocol
from reconciler.model.serviceentry import Resolution
from reconciler.model.services import Health, Port
from tests.kubernetes.objects import endpoint, endpoint_slice, node, pod, service
from tests.kubernetes.store import Object

READ = {
    "Service": (Resource.SERVICES, records.service),
    "EndpointSlice": (Resource.SLICES, records.endpoint_slice),
    "Pod": (Resource.PODS, records.pod),
    "Node": (Resource.NODES, records.node),
}


def put(cluster: Cluster, *items: Object) -> None:
    for item in items:
        resource, read = READ[item["kind"]]
        record: Record | None = read(item)
        cluster.put(resource, records.name_of(item), record)


def gone(cluster: Cluster, item: Object) -> None:
    cluster.put(READ[item["kind"]][0], records.name_of(item), None)


def cluster(*items: Object) -> Cluster:
    made = Cluster("cluster.local")
    put(made, *items)
    return made


def found(*items: Object) -> Found:
    """The only service that follows from these objects."""
    (only,) = cluster(*items).snapshot().services.values()
    return only


def addresses(service: Found) -> list[str]:
    return [instance.address for instance in service.instances]


def test_service() -> None:
    """A Service is a host with its ports, cluster IPs and selector; names are short by the cluster's domain."""
    assert found(service("reviews", "shop")) == Found(
        host="reviews.shop.svc.cluster.local",
        namespace="shop",
        ports=(Port(9080, "http", Protocol.HTTP, 8080),),
        addresses=("10.96.0.10",),
        selector={"app": "reviews"},
    )


def test_instance() -> None:
    """An endpoint has the ports of its slice, the labels, account and name of its Pod, and the place of its Node."""
    one = endpoint("10.0.0.1", pod="a", node="n1", zone="z")
    objects = [
        service(),
        endpoint_slice("s", [one]),
        pod("a", account="robot", app="reviews", version="v1"),
        node("n1", region="eu", zone="eu-1", subzone="rack"),
    ]
    assert found(*objects).instances == (
        Instance(
            address="10.0.0.1",
            ports={"http": 8080},
            labels={"app": "reviews", "version": "v1"},
            locality="eu/eu-1/rack",
            service_account="robot",
            name="a",
        ),
    )


@pytest.mark.parametrize(
    ("name", "app_protocol", "protocol"),
    [
        ("http", "", Protocol.HTTP),
        ("http-web", "", Protocol.HTTP),
        ("HTTP2-x", "", Protocol.HTTP2),
        ("grpc", "", Protocol.GRPC),
        ("grpc-web", "", Protocol.GRPC_WEB),
        ("grpc-web-x", "", Protocol.GRPC_WEB),
        ("https", "", Protocol.HTTPS),
        ("tls-a", "", Protocol.TLS),
        ("mysql", "", Protocol.MYSQL),
        ("redis", "", Protocol.REDIS),
        ("mongo-x", "", Protocol.MONGO),
        ("tcp-x", "", Protocol.TCP),
        ("", "", Protocol.TCP),
        ("web", "", Protocol.TCP),
        ("httpx", "", Protocol.TCP),
        ("tcp", "http", Protocol.HTTP),
        ("http", "tcp", Protocol.TCP),
        ("http", "kubernetes.io/h2c", Protocol.HTTP2),
        ("", "kubernetes.io/ws", Protocol.HTTP),
        ("", "kubernetes.io/wss", Protocol.HTTPS),
        ("http", "example.com/own", Protocol.TCP),
        ("udp-x", "", None),
    ],
)
def test_protocol(name: str, app_protocol: str, protocol: Protocol | None) -> None:
    """Istio's rules: appProtocol before the name, the part before the first hyphen, in any case; anything else is TCP."""
    assert spoken(name, app_protocol) is protocol


def test_only_tcp_is_a_port() -> None:
    """Ports over UDP and SCTP are left out, of services and of slices."""
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "http", "port": 80},
        {"name": "sctp", "port": 81, "protocol": "SCTP"},
    ]
    service_found = found(service(ports=ports), endpoint_slice("s", [endpoint("10.0.0.1")], ports=ports))
    assert [port.name for port in service_found.ports] == ["http"]
    assert service_found.instances[0].ports == {"http": 80}


def test_unnamed_port() -> None:
    """A service's only port may have no name; its instances' port has none either."""
    objects = [
        service(ports=[{"port": 80, "targetPort": "web"}]),
        endpoint_slice("s", [endpoint("10.0.0.1")], ports=[{"name": "", "port": 8080, "protocol": "TCP"}]),
    ]
    assert found(*objects).ports == (Port(80, "", Protocol.TCP, 80),)
    assert found(*objects).instances[0].ports == {"": 8080}


def test_headless() -> None:
    """A headless service has no address."""
    assert found(service(clusterIP="None", clusterIPs=["None"])).addresses == ()
    assert found(service(clusterIP="10.1.1.1", clusterIPs=None)).addresses == ("10.1.1.1",)


def test_external_name() -> None:
    """An ExternalName is found by DNS, at its name and its own ports; without ports it has no instance."""
    external = service(type="ExternalName", externalName="Db.Example.com.", clusterIP="", clusterIPs=None)
    assert (found(external).resolution, found(external).selector) == (Resolution.DNS, None)
    assert found(external).instances == (Instance(address="db.example.com", ports={"http": 9080}),)
    external["spec"]["ports"] = None
    assert found(external).instances == ()


@pytest.mark.parametrize(
    ("conditions", "health"),
    [
        ({}, Health.HEALTHY),
        ({"ready": None}, Health.HEALTHY),
        ({"ready": True}, Health.HEALTHY),
        ({"ready": True, "serving": False}, Health.HEALTHY),  # publishNotReadyAddresses
        ({"ready": False}, Health.UNHEALTHY),
        ({"ready": False, "serving": True, "terminating": False}, Health.UNHEALTHY),
        ({"ready": False, "serving": True, "terminating": True}, Health.DRAINING),
        ({"ready": False, "terminating": True}, Health.DRAINING),
        ({"ready": False, "serving": False, "terminating": True}, Health.UNHEALTHY),
    ],
)
def test_health(conditions: Mapping[str, bool | None], health: Health) -> None:
    """Ready gets requests; serving while it terminates ends those it has; a missing condition means what the API says."""
    (instance,) = found(service(), endpoint_slice("s", [endpoint("10.0.0.1", conditions=conditions)])).instances
    assert instance.health is health


def test_slices_are_merged() -> None:
    """Slices of one service are added up; an address that stands in two counts once, and the better word of its health."""
    bad = {"ready": False}
    objects = [
        service(),
        endpoint_slice("s1", [endpoint("10.0.0.2", conditions=bad), endpoint("10.0.0.3")]),
        endpoint_slice("s2", [endpoint("10.0.0.1"), endpoint("10.0.0.2"), endpoint("10.0.0.3", conditions=bad)]),
        endpoint_slice("other", [endpoint("10.0.0.9")], service="ratings"),
    ]
    service_found = found(*objects)
    assert addresses(service_found) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert {instance.health for instance in service_found.instances} == {Health.HEALTHY}


def test_one_family() -> None:
    """Of two address families the service's first counts, and the other one only where the first has nobody."""
    four = endpoint_slice("s4", [endpoint("10.0.0.1")])
    six = endpoint_slice("s6", [endpoint("fd00::1")], family="IPv6")
    for families, wanted in ((["IPv4", "IPv6"], "10.0.0.1"), (["IPv6", "IPv4"], "fd00::1"), (None, "10.0.0.1")):
        dual = service(ipFamilies=families, clusterIPs=["10.96.0.10", "fd00:96::a"])
        assert addresses(found(dual, four, six)) == [wanted]
        assert found(dual).addresses == ("10.96.0.10", "fd00:96::a")
    empty = endpoint_slice("s4", [])
    assert addresses(found(service(ipFamilies=["IPv4", "IPv6"]), empty, six)) == ["fd00::1"]


def test_ports_of_slices() -> None:
    """Pods that call a named port differently are in slices of their own: each instance has its slice's numbers."""
    objects = [
        service(),
        endpoint_slice("s1", [endpoint("10.0.0.1")], ports=[{"name": "http", "port": 8080}]),
        endpoint_slice("s2", [endpoint("10.0.0.2")], ports=[{"name": "http", "port": 9090}]),
        endpoint_slice("s3", [endpoint("10.0.0.3")], ports=[]),
    ]
    assert [(each.address, each.ports["http"]) for each in found(*objects).instances] == [
        ("10.0.0.1", 8080),
        ("10.0.0.2", 9090),
    ]


def test_unknown_pod_is_waited_for() -> None:
    """An endpoint whose Pod is not known yet has no labels, so it is no instance yet."""
    state = cluster(service(), endpoint_slice("s", [endpoint("10.0.0.1", pod="a")]))
    assert state.snapshot().services["reviews.default.svc.cluster.local"].instances == ()
    put(state, pod("a", version="v1"))
    (event,) = state.events()
    assert isinstance(event, Put)
    assert event.service.instances[0].labels == {"version": "v1"}


def test_without_a_pod() -> None:
    """Endpoints that somebody wrote by hand need no Pod and no selector."""
    service_found = found(service(selector=None), endpoint_slice("s", [endpoint("192.0.2.1")]))
    assert (addresses(service_found), service_found.selector) == (["192.0.2.1"], None)


def test_locality() -> None:
    """A Pod's own label counts before its Node; a place without a region is none."""
    ends = [endpoint("10.0.0.1", pod="a", node="n1"), endpoint("10.0.0.2", node="n2"), endpoint("10.0.0.3", zone="z")]
    labelled = pod("a")
    labelled["metadata"]["labels"] = {"istio-locality": "eu.eu-2", "topology.istio.io/network": "blue"}
    objects = [service(), endpoint_slice("s", ends), labelled, node("n1", region="us"), node("n2", zone="z")]
    assert [(each.locality, each.network) for each in found(*objects).instances] == [
        ("eu/eu-2", "blue"),
        ("", ""),
        ("", ""),
    ]


def test_events() -> None:
    """Only what has changed is said; what changes nothing, or comes to nothing, is not."""
    ends = [endpoint("10.0.0.1", pod="a", node="n1")]
    state = cluster(service(), service("ratings"), endpoint_slice("s", ends), pod("a"), node("n1", region="eu"))
    state.snapshot()

    def events() -> list[Event]:
        return list(state.events())

    assert events() == []
    put(state, service(), pod("a"), node("n1", region="eu"), pod("b", version="v9"))
    assert events() == []
    put(state, node("n1", region="us"))
    (event,) = events()
    assert isinstance(event, Put)
    assert event.service.instances[0].locality == "us"
    gone(state, service("ratings"))
    assert events() == [Gone("ratings.default.svc.cluster.local")]
    gone(state, pod("a"))
    (event,) = events()
    assert isinstance(event, Put)
    assert event.service.instances == ()
    put(state, service("new"))
    gone(state, service("new"))
    assert events() == []


def test_slice_changes_hands() -> None:
    """A slice that becomes another service's leaves the one that it was of."""
    ends = [endpoint("10.0.0.1")]
    state = cluster(service(), service("ratings"), endpoint_slice("s", ends))
    state.snapshot()
    put(state, endpoint_slice("s", ends, service="ratings"))
    changed = {event.service.host.split(".")[0]: event.service for event in state.events() if isinstance(event, Put)}
    assert (addresses(changed["reviews"]), addresses(changed["ratings"])) == ([], ["10.0.0.1"])


def test_replace_takes_away() -> None:
    """What a list of a namespace does not have is gone from that namespace, and from no other."""
    state = cluster(service("a", "one"), service("b", "one"), service("c", "two"))
    state.snapshot()
    item = service("b", "one")
    state.replace(Resource.SERVICES, "one", {("one", "b"): records.service(item)})
    assert list(state.events()) == [Gone("a.one.svc.cluster.local")]


@pytest.mark.parametrize(
    ("item", "part"),
    [
        (service(ports=[{"name": "http", "port": 0}]), "port"),
        (service(ports=[{"name": "http", "port": True}]), "port"),
        (service(ports={"http": 80}), "ports is not a list"),
        (service(clusterIPs=["ten"]), "'ten' is not an IP address"),
        (service(clusterIPs=[10]), "clusterIPs"),
        (service(selector={"app": 1}), "selector"),
        (service(selector=["app"]), "not an object"),
        (service(type="ExternalName"), "ExternalName"),
        (service(type=7), "type is not a string"),
        (endpoint_slice("s", [], family="FQDN"), "FQDN"),
        (endpoint_slice("s", [{"addresses": []}]), "no address"),
        (endpoint_slice("s", [endpoint("300.1.1.1")]), "300.1.1.1"),
    ],
)
def test_malformed(item: Object, part: str) -> None:
    """An object that is not what the API has is refused, and the message says why."""
    with pytest.raises(MalformedError, match=part):
        READ[item["kind"]][1](item)


def test_slice_of_nobody() -> None:
    """A slice without the label of a service is none of ours."""
    item = endpoint_slice("s", [])
    item["metadata"]["labels"] = None
    assert records.endpoint_slice(item) is None


_ADDRESSES = st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3"])
_PODS = st.sampled_from(["", "a", "b"])
_ENDS = st.lists(
    st.builds(
        lambda address, pod, node: endpoint(address, pod=pod, node=node), _ADDRESSES, _PODS, st.sampled_from(["", "n"])
    ),
    max_size=3,
)
_OBJECTS = st.one_of(
    st.builds(service, st.sampled_from(["reviews", "ratings"])),
    st.builds(
        lambda name, ends, owner: endpoint_slice(name, ends, service=owner),
        st.sampled_from(["s1", "s2"]),
        _ENDS,
        st.sampled_from(["reviews", "ratings"]),
    ),
    st.builds(
        lambda name, version: pod(name, version=version), st.sampled_from(["a", "b"]), st.sampled_from(["v1", "v2"])
    ),
    st.builds(lambda region: node("n", region=region), st.sampled_from(["eu", "us"])),
)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), _OBJECTS), max_size=25))
def test_increments_are_the_whole(steps: list[tuple[bool, bool, Object]]) -> None:
    """Whatever comes in whatever order: events add up to what a new cluster with the same objects has."""
    state = cluster()
    services = dict(state.snapshot().services)
    objects: dict[tuple[str, records.Name], Object] = {}
    for removed, look, item in steps:
        key = (item["kind"], records.name_of(item))
        if removed and key in objects:
            del objects[key]
            gone(state, item)
        else:
            objects[key] = item
            put(state, item)
        if look:
            _fold(services, state)
    _fold(services, state)
    assert services == dict(cluster(*objects.values()).snapshot().services)


def _fold(services: dict[str, Found], state: Cluster) -> None:
    for event in state.events():
        if isinstance(event, Put):
            assert services.get(event.service.host) != event.service
            services[event.service.host] = event.service
        elif isinstance(event, Gone):
            del services[event.host]
