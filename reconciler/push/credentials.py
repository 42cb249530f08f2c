"""What TLS adds to a push by files: which secrets a step depends on, and why Envoy could not use one.

Envoy does not wait for a certificate: it puts a listener or cluster into force whose secret it could not load, and breaks
off every handshake. So files that are surely absent stop a push before anything is written, and a step that subscribes to
a secret is done only when Envoy shows the secret's version, which it does from the first time that it could use it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from reconciler.errors import PermanentError
from reconciler.model.protos import decode, to_dict
from reconciler.model.resource import ResourceType
from reconciler.model.secrets import Certificate, Root, parse, referenced
from reconciler.push.phases import State, Step

_REFERRING = frozenset({ResourceType.CLUSTER, ResourceType.LISTENER})


class SecretFileError(PermanentError):
    """A file that a secret names is not there; with it, Envoy would break off every TLS handshake."""

    default_code = "push-secret"


def check_files(live: State, wanted: State) -> None:
    """Make sure that the files of new secrets are there, as far as this process may look.

    A secret that serves is not looked at: Envoy keeps what it has read.

    Raises:
        SecretFileError: Some are not; names each with its secret.
    """
    new = [id_.name for id_, item in wanted.items() if id_.type is ResourceType.SECRET and live.get(id_) != item]
    found = [(name, item) for name in sorted(new) if (item := parse(name)) is not None]
    faults = [f"secret {name}: {fault}" for name, item in found if (fault := _absent(item))]
    if faults:
        raise SecretFileError(
            "; ".join(faults),
            hint="put the file there, or correct the policy; the reconciler looks where Envoy would, on the same host",
        )


def awaited(step: Step) -> Mapping[str, str]:
    """Versions, by name, of the secrets that a step's clusters and listeners subscribe to."""
    known = {id_.name: item.version for id_, item in step.after.items() if id_.type is ResourceType.SECRET}
    if not known:  # reading them takes longer than everything else here
        return {}
    put = [item for item in step.put if item.id.type in _REFERRING]
    asked = {name for item in put for name in referenced(to_dict(decode(item)))}
    return {name: known[name] for name in sorted(asked & known.keys())}


def reason(names: Iterable[str]) -> str:
    """What keeps Envoy from using these secrets, as far as it can be seen from here: Envoy tells only its log."""
    known = [item for name in names if (item := parse(name)) is not None]
    absent = [fault for item in known if (fault := _absent(item))]
    if absent:
        return "; ".join(absent)
    files = ", ".join(dict.fromkeys(path for item in known for path in item.files))
    return (
        f"it can't use {files} (not PEM, not readable by it, or the key of another certificate); its log has the reason"
    )


def _absent(item: Certificate | Root) -> str:
    found = [path for path in item.files if _surely_absent(path)]
    return f"{' and '.join(found)} {'does' if len(found) == 1 else 'do'} not exist" if found else ""


def _surely_absent(path: str) -> bool:
    """Envoy may look where this process may not."""
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
