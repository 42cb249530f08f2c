"""Certificates by ADS: the daemon names files that only the proxy's own host has, and hears whether they are any good."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reconciler.model import protos
from reconciler.model.observation import Proof
from reconciler.model.receipt import OutcomeKind
from reconciler.model.resource import Resource, ResourceType
from reconciler.model.secrets import Certificate, secret_resource
from tests.certificates import Authority, serial_of
from tests.push.adslab import AdsLab, apply, listener, made
from tests.push.conftest import MakeAds, Ports
from tests.push.lab import HCM, ROUTER
from tests.push.test_ads_refusals import backed
from tests.push.test_secrets import ROUTES, TLS
from tests.xds.lab import ADS, VARIANTS


@dataclass(frozen=True)
class Site:
    """A port of one Envoy that is to be served with TLS, and who trusts it."""

    lab: AdsLab
    port: int
    authority: Authority

    def serving(self, certificate: Certificate | None) -> list[Resource]:
        """A listener that answers by itself, with its secret."""
        value = protos.to_dict(protos.decode(listener("tls", self.port, "unused")))
        router = {"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}}
        manager = {"@type": HCM, "stat_prefix": "tls", "route_config": ROUTES, "http_filters": [router]}
        chain: dict[str, Any] = {"filters": [{"name": "http", "typed_config": manager}]}
        if certificate is not None:
            secrets = [{"name": certificate.name, "sds_config": {**ADS, "initial_fetch_timeout": "0s"}}]
            config = {
                "@type": f"{TLS}DownstreamTlsContext",
                "common_tls_context": {"tls_certificate_sds_secret_configs": secrets},
            }
            chain["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": config}
        value["filter_chains"] = [chain]
        found = [made(ResourceType.LISTENER, **value)]
        return found if certificate is None else [*found, secret_resource(certificate)]

    def served(self) -> int:
        """The serial number of the certificate that is served now."""
        context = self.authority.client_context()
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="a.example") as secure,
        ):
            return serial_of(secure.getpeercert(binary_form=True) or b"")


@pytest.fixture(params=VARIANTS)
def site(request: pytest.FixtureRequest, make_ads: MakeAds, make_port: Ports, tmp_path: Path) -> Site:
    return Site(make_ads(variant=request.param), make_port(), Authority(tmp_path / "certs"))


def test_a_listener_with_a_certificate_is_served(site: Site) -> None:
    """One push brings the secret and who refers to it, and proves both."""
    pair = site.authority.issue("a.example")
    outcome = apply(site.lab, site.serving(Certificate(str(pair.chain), str(pair.key))))
    assert (outcome.kind, outcome.proof, outcome.detail) == (OutcomeKind.APPLIED, Proof.EXACT, "")
    assert site.served() == pair.serial


@pytest.mark.parametrize("plaintext_before", [True, False])
def test_a_certificate_that_is_missing_is_named_and_served_once_it_is_there(
    site: Site, *, plaintext_before: bool
) -> None:
    """What would need it stays as it serves, everything else goes on, and the next pass tries it again."""
    folder = site.authority.folder
    absent = Certificate(str(folder / "b.crt"), str(folder / "b.key"))
    before = [*backed("a"), *(site.serving(None) if plaintext_before else [])]
    assert apply(site.lab, before).proof is Proof.EXACT
    wanted = [*backed("a"), *backed("b"), *site.serving(absent)]
    for _ in range(2):
        outcome = apply(site.lab, wanted)
        assert [item.name for item in outcome.rejected] == [absent.name]
        assert "b.crt" in outcome.detail
        assert "listener tls is left as it was, because secret" in outcome.detail
        live = site.lab.serves()
        assert "cluster b" in live
        assert live.get("listener tls") == (before[-1] if plaintext_before else None)
    pair = site.authority.issue("a.example")
    for made_, wanted_ in ((pair.key, absent.key), (pair.chain, absent.chain)):
        made_.rename(wanted_)
    outcome = apply(site.lab, wanted)
    assert (outcome.kind, outcome.proof, outcome.detail) == (OutcomeKind.APPLIED, Proof.EXACT, "")
    assert site.served() == pair.serial


def test_a_proxy_that_restarts_without_its_certificate_is_not_taken_for_served(site: Site) -> None:
    """Envoy serves a listener without it, and takes the same secret once more for one that it has read."""
    pair = site.authority.issue("a.example")
    mine = Certificate(str(pair.chain), str(pair.key))
    wanted = site.serving(mine)
    assert apply(site.lab, wanted).proof is Proof.EXACT
    away = pair.chain.with_suffix(".away")
    pair.chain.rename(away)
    process = site.lab.process
    assert process is not None
    process.kill()
    process.start()
    for _ in range(2):
        outcome = apply(site.lab, wanted)
        assert (outcome.kind, [item.name for item in outcome.rejected]) == (OutcomeKind.REJECTED, [mine.name])
        with pytest.raises((ssl.SSLError, ConnectionError)):
            site.served()
    away.rename(pair.chain)
    outcome = apply(site.lab, wanted)
    assert (outcome.kind, outcome.proof) == (OutcomeKind.APPLIED, Proof.EXACT)
    assert site.served() == pair.serial
