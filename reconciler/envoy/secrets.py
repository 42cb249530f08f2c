"""What a secret in a dump was compiled from. Between `dump`, which finds the secrets, and the normal form of resources.

Envoy shows what it read from a secret's files, the private key redacted, and not their names. Those follow from the
secret's name, but only for a secret as this product writes it, and the version that Envoy shows with it tells whether it
is one: content that came with another version may be of other files, so its files are not named, and it differs. What
is in the files goes no further than this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.model.secrets import Certificate, Root, parse, secret_resource

_CONTENT = frozenset({"inline_bytes", "inline_string"})


def as_written(item: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """A secret with the names of its files instead of what is in them.

    Args:
        item: An entry of `dynamic_active_secrets`.

    Returns:
        Fields of a Secret; None for one whose name says that it is nobody's files, which no push of ours can be about.
    """
    wanted = parse(item["name"])
    if wanted is None:
        return None
    ours = item.get("version_info") == secret_resource(wanted).version
    written: Mapping[str, Any] = _named(item["secret"], _files(wanted) if ours else {})
    return written


def _files(wanted: Certificate | Root) -> Mapping[str, str]:
    if isinstance(wanted, Certificate):
        return {"certificate_chain": wanted.chain, "private_key": wanted.key}
    return {"trusted_ca": wanted.ca, "crl": wanted.crl}


def _named(value: Any, files: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_named(part, files) for part in value]
    if not isinstance(value, dict):
        return value
    bare = {key: part for key, part in value.items() if key not in _CONTENT}
    return {
        key: {"filename": files[key]} if files.get(key) and isinstance(part, dict) else _named(part, files)
        for key, part in bare.items()
    }
