"""What Rollouts refer to: the splits that they move and their subsets, and the templates that they measure by."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.conjunction import both
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.origin import FieldPath, Finding
from reconciler.model.rollout import Rollout
from reconciler.model.splits import Split, split_of, targeted
from reconciler.model.virtualservice import HTTPMatch, HTTPRoute, VirtualService
from reconciler.policy.findings import Report, close
from reconciler.policy.references.analyses import check_analyses, compares
from reconciler.policy.references.index import Index

_TARGET = ("target", "virtualService")

Moved = dict[tuple[Key, int], list[Policy[Rollout]]]
"""Who moves a rule, by its VirtualService and its place there."""


def check_rollouts(index: Index) -> Iterator[Finding]:
    """Of every Rollout: its target and its templates; and that no two move one rule."""
    moved: Moved = {}
    for policy in index.mesh.rollouts:
        report = Report(policy.origin)
        service = _service(policy, index, report)
        if service is not None:
            for number in _rules(policy, service, report):
                moved.setdefault((service.key, number), []).append(policy)
                split = _check_split(policy, service, number, index, report)
                if split is not None and compares(policy, index):
                    _check_shared(policy, service, split, index, report)
        check_analyses(policy, index, report)
        yield from report.findings
    yield from _overlaps(moved)


def _service(policy: Policy[Rollout], index: Index, report: Report) -> Policy[VirtualService] | None:
    name = policy.spec.target.virtual_service.name
    key = policy.resolve(name)
    found = index.virtual_services.get(key)
    if found is None and not index.failed_key("VirtualService", key):
        hint = close(name, (item.short() for item in index.virtual_services))
        hint = hint or "add a VirtualService of this name, or write `namespace/name`"
        report.error("ref-route", f"there is no VirtualService {key}", *_TARGET, "name", hint=hint)
    return found


def _rules(policy: Policy[Rollout], service: Policy[VirtualService], report: Report) -> tuple[int, ...]:
    """The rules that are moved, with a note of those that aren't there."""
    names = [rule.name for rule in service.spec.http]
    known = [name for name in names if name]
    routes = policy.spec.target.virtual_service.routes
    short = service.key.short()
    for position, name in enumerate(routes):
        if name not in known:
            hint = close(name, known) or (f"it has {', '.join(known)}" if known else "give its rules names")
            message = f"VirtualService {short} has no http rule {name}"
            report.error("ref-route", message, *_TARGET, "routes", position, hint=hint)
        elif known.count(name) > 1:
            message = f"VirtualService {short} has {known.count(name)} rules named {name}"
            report.error("ref-route", message, *_TARGET, "routes", position, hint="give each its own name")
    if not names:
        message = f"VirtualService {short} has no http rules, and only those can be moved"
        report.error("ref-route", message, *_TARGET, "name", hint="name a VirtualService with http rules")
    elif not routes and len(names) > 1:
        message = f"VirtualService {short} has {len(names)} http rules; say which are moved"
        hint = f"add `routes: [NAME]`; its rules are {', '.join(known) or 'without names'}"
        report.error("ref-route", message, *_TARGET, hint=hint, key=True)
    return tuple(number for number in targeted(policy.spec, service.spec) if names.count(names[number]) == 1)


def _check_split(
    policy: Policy[Rollout], service: Policy[VirtualService], number: int, index: Index, report: Report
) -> Split | None:
    """Both subsets of one host, each with a weight in the file: it is that number which is moved."""
    spec, rule = policy.spec, service.spec.http[number]
    where = _words(service, number)
    split = split_of(spec, service, number, domain=index.mesh.settings.domain)
    if split is None:
        subsets = [share.destination.subset for share in rule.route]
        missing = [name for name in (spec.stable, spec.canary) if name not in subsets]
        what = (
            f"no destination with the subset {missing[0]}" if missing else "its two subsets at different hosts or ports"
        )
        hint = "write both subsets of one host as destinations, with weights 100 and 0 before the first run"
        field = "stable" if missing[:1] == [spec.stable] else "canary"
        report.error("ref-split", f"{where} has {what}", field, hint=hint)
        return None
    for place, subset in ((split.stable, spec.stable), (split.canary, spec.canary)):
        if [share.destination.subset for share in rule.route].count(subset) > 1:
            message = f"{where} has several destinations with the subset {subset}"
            report.error("ref-split", message, *_TARGET, hint="add their weights together in one", key=True)
        elif "weight" not in rule.route[place].model_fields_set:
            message = f"{where} has no weight for {subset}, so there is no number to be moved"
            report.error("ref-split", message, *_TARGET, hint="write `weight: 0` for no traffic", key=True)
    _check_matches(spec, rule, where, report)
    return split


def _check_matches(spec: Rollout, rule: HTTPRoute, where: str, report: Report) -> None:
    """Whether what a step's route matches can be put together with what the rule matches."""
    for path, match in _matches(spec):
        try:
            found = [both(outer, match) for outer in rule.match or (HTTPMatch(),)]
        except ValueError as error:
            message = f"{where} and this route both match {error}, which no single match can say"
            hint = "write one of the two with exact or prefix, or match something else"
            report.error("ref-split", message, *path, hint=hint)
            continue
        if all(item is None for item in found):
            message = f"no request that {where} takes matches this, so nothing of it reaches the canary"
            report.warning("no-effect", message, *path, hint="compare the two matches")


def _matches(spec: Rollout) -> Iterator[tuple[FieldPath, HTTPMatch]]:
    for position, step in enumerate(spec.steps):
        header, mirror = step.set_header_route, step.set_mirror_route
        if header is not None and header.match:
            wanted = {item.header_name: item.header_value for item in header.match}
            yield ("steps", position, "setHeaderRoute", "match"), HTTPMatch(headers=wanted)
        for number, match in enumerate(mirror.match if mirror is not None else ()):
            yield ("steps", position, "setMirrorRoute", "match", number), match
    for number, match in enumerate(spec.analysis.match if spec.analysis is not None else ()):
        yield ("analysis", "match", number), HTTPMatch(headers=match.headers)


def _check_shared(
    policy: Policy[Rollout], service: Policy[VirtualService], split: Split, index: Index, report: Report
) -> None:
    """Who else sends to the canary: those requests are not drawn at random, so they are no fair sample."""
    for number, step in enumerate(policy.spec.steps):
        if step.set_header_route is not None and step.set_header_route.match:
            message = "these requests are chosen, and the canary is compared with stable as if all were drawn at random"
            hint = "take the route away before the comparison, or judge by thresholdRange"
            report.warning("ref-rollout-shared", message, "steps", number, "setHeaderRoute", hint=hint, key=True)
    wanted = service.spec.http[split.rule].route[split.canary].destination
    host = index.host(wanted.host, service.key)
    mine = {(service.key, number) for number in targeted(policy.spec, service.spec)}
    for other in index.mesh.virtual_services:
        for number, rule in enumerate(other.spec.http):
            if (other.key, number) in mine:
                continue
            for share in rule.route:
                destination = share.destination
                if destination.subset == wanted.subset and index.host(destination.host, other.key) == host:
                    message = f"{_words(other, number)} sends to {wanted.subset} too, so those who get it are not drawn at random"
                    hint = "let it go to a subset of its own, or judge by thresholdRange instead of compareTo"
                    report.warning("ref-rollout-shared", message, "canary", hint=hint)
                    return


def _overlaps(moved: Moved) -> Iterator[Finding]:
    for (key, number), policies in moved.items():
        for policy in policies if len(policies) > 1 else ():
            other = next(item for item in policies if item is not policy)
            where = f"Rollout {other.key.short()} in {other.origin.file}"
            if other.origin.file == policy.origin.file:
                where += f", document {other.origin.document + 1}"
            report = Report(policy.origin)
            message = f"rule {number + 1} of VirtualService {key.short()} is moved by another one: {where}"
            hint = "keep one of the two, or let each name other routes"
            report.error("ref-duplicate-rollout", message, *_TARGET, hint=hint, key=True)
            yield from report.findings


def _words(service: Policy[VirtualService], number: int) -> str:
    name = service.spec.http[number].name
    what = f"the rule {name}" if name else f"rule {number + 1}"
    return f"{what} of VirtualService {service.key.short()}"
