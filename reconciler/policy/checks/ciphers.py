"""Rules for cipher suites: the names that Envoy's TLS library knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.model.gateway import TLSProtocol
from reconciler.policy.findings import Report, close

CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA", "ECDHE-RSA-AES256-SHA",
    "AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA", "AES256-SHA", "DES-CBC3-SHA",
)  # fmt: skip
"""BoringSSL's suites for TLS up to 1.2, by the names that Istio takes."""

_ALL = "ALL"
_OPERATORS = ("-", "+", "!", "@")
_OLD = frozenset({TLSProtocol.TLSV1_0, TLSProtocol.TLSV1_1})


def check_ciphers(suites: Sequence[str], lowest: TLSProtocol, report: Report) -> None:
    """Note suites that Envoy would refuse the whole listener for; Istio leaves them out, and the others that were not meant in.

    Args:
        suites: Names, `[name|name]` for equal preference, `ALL`, or what begins with another operator: Envoy's own to read.
        lowest: The lowest version of TLS that is spoken.
        report: Where `cipherSuites` stands.
    """
    seen: set[str] = set()
    for index, text in enumerate(suites):
        for name in _names(text):
            if name not in CIPHERS:
                hint = close(name, CIPHERS) or f"Envoy knows {', '.join(CIPHERS)}"
                report.error(
                    "cipher-suite", f"{name!r} is not a cipher suite of Envoy's", "cipherSuites", index, hint=hint
                )
            elif name in seen:
                message = f"the cipher suite {name} stands here for the second time"
                report.warning("no-effect", message, "cipherSuites", index, hint="keep one of them")
            seen.add(name)
    if lowest in _OLD and not suites:
        message = f"Envoy's default cipher suites have none that clients of {lowest} speak"
        hint = "add cipherSuites such as ECDHE-RSA-AES128-SHA, or remove the old version"
        report.warning("no-effect", message, "minProtocolVersion", hint=hint)


def _names(text: str) -> Iterator[str]:
    if text == _ALL or text[:1] in _OPERATORS:
        return
    if text.startswith("[") and text.endswith("]"):
        yield from text[1:-1].split("|")
    else:
        yield text
