"""Ports, addresses and certificates: what the names in rows stand for, the same for a row however often it asks."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from pathlib import Path

from reconciler.cli.demo.ports import Ports
from tests.behaviour.policies import Lookup
from tests.certificates import Authority

_PORT = re.compile(r"port\d*|own|own_out|own_in")


class Places:
    """What is given out during a session.

    Args:
        ports: Reserved for as long as the session.
        certificates: A folder for them.
    """

    def __init__(self, ports: Ports, certificates: Path) -> None:
        self._ports = ports
        self._authority = Authority(certificates)
        self._certificates = certificates
        self._rows: dict[str, dict[str, str | int]] = {}
        self._shared: dict[str, str | int] = {"certs": str(certificates)}

    def share(self, names: Mapping[str, str | int]) -> None:
        """Names that every row has."""
        self._shared.update(names)

    def port(self) -> int:
        """A free port."""
        return self._ports.reserve()

    def of(self, row: str) -> Lookup:
        """What a row's names stand for; ports and addresses are found when they are first asked for."""
        if row not in self._rows:
            number = len(self._rows) + 1
            rest = f"{number // 250}.{number % 250 + 1}"
            host = f"{row}.example.com"
            self._rows[row] = {"name": row, "host": host, "address": f"127.77.{rest}", "away": f"198.18.{rest}"}
        own = self._rows[row]

        def named(name: str) -> str | int:
            if name in self._shared:
                return self._shared[name]
            if name not in own and _PORT.fullmatch(name):
                own[name] = self._ports.reserve()
            if name not in own:
                raise ValueError(f"${name} stands for nothing: policies.py lists what there is")
            return own[name]

        return named

    def server(self, name: str) -> ssl.SSLContext:
        """What a backend needs to show a certificate of this name; it asks clients for theirs and takes none too."""
        context = self._authority.server_context(self._authority.issue(name))
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def issue(self, *names: str, file: str) -> None:
        """A certificate as `<file>.pem` and `<file>.key` in the folder."""
        self._authority.issue(*names, file=file)

    def identify(self, account: str, *, file: str) -> None:
        """A certificate of a workload, as `<file>.pem` and `<file>.key` in the folder."""
        self._authority.identify(f"spiffe://cluster.local/ns/default/sa/{account}", file=file)

    def estrange(self) -> None:
        """A workload of another mesh, in the folder `stranger`: another authority, with the same identity as ours."""
        Authority(self._certificates / "stranger").identify(
            "spiffe://cluster.local/ns/default/sa/server", file="stranger"
        )

    def client(self, name: str, *, http2: bool, newest: str = "") -> ssl.SSLContext:
        """What a client needs that trusts our authority and, with a name, shows a certificate; of TLS it knows no newer version."""
        pair = self._authority.issue(name) if name else None
        context = self._authority.client_context(pair)
        if newest:
            context.maximum_version = ssl.TLSVersion[f"TLSv{newest.replace('.', '_')}"]
        context.set_alpn_protocols(["h2"] if http2 else ["http/1.1"])
        return context
