"""What TLS adds to a push: which secrets a step depends on, and why Envoy could not use one.

Envoy does not wait for a certificate: it puts a listener or cluster into force whose secret it could not load, and breaks
off every handshake. So files that are surely absent stop a push before anything is written, and a step that subscribes to
a secret is done only when Envoy shows the secret's version, which it does from the first time that it could use it. What
was broken before the push holds up nothing else: an abort gets through to a gateway that has lost a certificate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret

from reconciler.errors import PermanentError
from reconciler.model.files import path_of
from reconciler.model.protos import decode, encode, to_dict
from reconciler.model.resource import Resource, ResourceType
from reconciler.model.secrets import Certificate, Root, parse, referenced
from reconciler.push.disk import Disk
from reconciler.push.layout import Content
from reconciler.push.phases import State, Step
from reconciler.push.verify import Expectation, Verdict, Watch

_REFERRING = frozenset({ResourceType.CLUSTER, ResourceType.LISTENER})


class SecretFileError(PermanentError):
    """A file that a secret names is not there; with it, Envoy would break off every TLS handshake."""

    default_code = "push-secret"


def check_files(live: State, wanted: State) -> None:
    """Make sure that the files are there of every secret that clusters and listeners are about to begin to use.

    Only as far as this process may look; and not those of a secret that serves, which Envoy keeps as it has read it.

    Raises:
        SecretFileError: Some are not; names each with its secret.
    """
    new = {id_.name for id_, item in wanted.items() if id_.type is ResourceType.SECRET and live.get(id_) != item}
    _refuse_absent(sorted(new & _asked(live, wanted)) if new else ())


def lacking(live: State, wanted: State) -> State:
    """The secrets that what is in force lacks already, such as after a restart without a file.

    Nothing else gets worse by pushing everything else, so these stop no push, and are demanded at its end.
    """
    new = [id_ for id_, item in wanted.items() if id_.type is ResourceType.SECRET and id_ not in live]
    asked = _asked(live, wanted) if new else frozenset()
    return {id_: wanted[id_] for id_ in new if id_.name not in asked}


def arriving(live: State, wanted: State) -> State:
    """The secrets that a push brings."""
    return {id_: item for id_, item in wanted.items() if id_.type is ResourceType.SECRET and id_ not in live}


def demand(names: Iterable[str]) -> None:
    """Whether there is any sense in asking Envoy for these secrets once more.

    Raises:
        SecretFileError: There is not: files are absent.
    """
    _refuse_absent(sorted(names))


def read_again(item: Resource, *, disk: Disk, watch: Watch, until: float) -> bool:
    """Make Envoy read the files of a secret that it subscribes to, and see whether it can use them.

    Envoy remembers the last secret that it got, also one that it refused, and takes the same once more for done: it shows
    the version, and has read nothing. So it gets another spelling of the folder to watch in between.

    Raises:
        AdminError: It does not answer.
        WriteError: The disk refuses.
    """
    other = respelled(item)
    path = path_of(disk.directory, item.id)
    for version in (other, item):
        disk.replace([(path, Content(item.id.type, item.id.name, (version,)).render())])
        shown = {(item.id.type, item.id.name): version.version}
        expectation = Expectation(required=shown, types=frozenset({item.id.type}))
        done = watch.confirm(expectation, until=until).verdict is Verdict.CONFIRMED
        if not done and version is other:
            disk.replace([(path, Content(item.id.type, item.id.name, (item,)).render())])
            return False
    return done


def respelled(item: Resource) -> Resource:
    """The same secret, so that Envoy takes it for another one: with another spelling of the folder that it watches."""
    spelled = Secret.FromString(item.body)
    kind: Any = getattr(spelled, spelled.WhichOneof("type") or "tls_certificate")
    kind.watched_directory.path += "/."
    return replace(item, body=encode(spelled), version=f"{item.version} again")


def awaited(step: Step) -> Mapping[str, str]:
    """Versions, by name, of the secrets that a step's clusters and listeners subscribe to."""
    known = {id_.name: item.version for id_, item in step.after.items() if id_.type is ResourceType.SECRET}
    if not known:
        return {}
    asked = _subscribed(step.put)
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


def _asked(live: State, wanted: State) -> frozenset[str]:
    return _subscribed(item for id_, item in wanted.items() if live.get(id_) != item)


def _subscribed(put: Iterable[Resource]) -> frozenset[str]:
    # Reading them takes longer than everything else here, so callers ask only where there are secrets.
    referring = (item for item in put if item.id.type in _REFERRING)
    return frozenset(name for item in referring for name in referenced(to_dict(decode(item))))


def _refuse_absent(names: Iterable[str]) -> None:
    found = [(name, item) for name in names if (item := parse(name)) is not None]
    faults = [f"secret {name}: {fault}" for name, item in found if (fault := _absent(item))]
    if faults:
        raise SecretFileError(
            "; ".join(faults),
            hint="put the file there, or correct the policy; the reconciler looks where Envoy would, on the same host",
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
