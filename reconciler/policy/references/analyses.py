"""The templates that a Rollout measures by: that they are there, and that their arguments have values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.model.analysis import AnalysisTemplate, Argument, TemplateRef
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.origin import FieldPath
from reconciler.model.rollout import Rollout
from reconciler.policy.checks.shared import idle
from reconciler.policy.findings import Report, close
from reconciler.policy.references.index import Index

Use = tuple[FieldPath, tuple[TemplateRef, ...], tuple[Argument, ...]]
"""An analysis of a rollout: where it stands, its templates, and the values that it gives."""


def check_analyses(policy: Policy[Rollout], index: Index, report: Report) -> None:
    """Every template of every analysis, and a rate of false alarms without anything that could raise one."""
    for path, refs, args in _uses(policy.spec):
        templates = _templates(policy, path, refs, index, report)
        if templates is not None:
            _check_given(path, refs, args, templates, report)
            flagger = policy.spec.analysis is not None and bool(policy.spec.analysis.metrics) and path == ("analysis",)
            _check_wanted(path, args, templates, report, queried=flagger)
    said = "false_alarm_rate" in policy.spec.model_fields_set
    if said and not compares(policy, index) and not index.failed("AnalysisTemplate"):
        message = "falseAlarmRate is for comparisons with stable, and no metric has one"
        idle(report, message, "falseAlarmRate", hint="add `provider: {envoy: {compareTo: stable}}` to a metric")


def compares(policy: Policy[Rollout], index: Index) -> bool:
    """Whether any metric of a rollout is compared with stable."""
    own = policy.spec.analysis.metrics if policy.spec.analysis is not None else ()
    refs = [ref for _, refs, _ in _uses(policy.spec) for ref in refs]
    found = [index.analysis_templates.get(_key(policy, ref)) for ref in refs]
    metrics = [*own, *(metric for template in found if template is not None for metric in template.spec.metrics)]
    return any(metric.compares for metric in metrics)


def _uses(spec: Rollout) -> Iterator[Use]:
    for number, step in enumerate(spec.steps):
        if step.analysis is not None:
            yield ("steps", number, "analysis"), step.analysis.templates, step.analysis.args
    if spec.analysis is not None:
        yield ("analysis",), spec.analysis.templates, spec.analysis.args
    if spec.post_promotion_analysis is not None:
        after = spec.post_promotion_analysis
        yield ("postPromotionAnalysis",), after.templates, after.args


def _key(policy: Policy[Rollout], ref: TemplateRef) -> Key:
    return Key(policy.key.namespace, ref.template_name)


def _templates(
    policy: Policy[Rollout], path: FieldPath, refs: Sequence[TemplateRef], index: Index, report: Report
) -> list[Policy[AnalysisTemplate]] | None:
    """The templates of an analysis; None if one of them is not there or could not be read."""
    found = []
    for number, ref in enumerate(refs):
        key = _key(policy, ref)
        template = index.analysis_templates.get(key)
        if template is not None:
            found.append(template)
        elif not index.failed_key("AnalysisTemplate", key):
            near = [item.name for item in index.analysis_templates if item.namespace == key.namespace]
            hint = (
                close(ref.template_name, near) or f"add an AnalysisTemplate of this name in namespace {key.namespace}"
            )
            where = (*path, "templates", number, "templateName")
            report.error("ref-template", f"there is no AnalysisTemplate {key}", *where, hint=hint)
    return found if len(found) == len(refs) else None


def _check_given(
    path: FieldPath,
    refs: Sequence[TemplateRef],
    args: Sequence[Argument],
    templates: Sequence[Policy[AnalysisTemplate]],
    report: Report,
) -> None:
    """Arguments without a value of their own."""
    given = {item.name for item in args if item.value is not None}
    for number, template in enumerate(templates):
        for item in template.spec.args:
            if item.value is None and item.name not in given:
                message = f"AnalysisTemplate {refs[number].template_name} needs a value for its argument {item.name}"
                hint = f"add `args: [{{name: {item.name}, value: ...}}]` beside templates"
                where = (*path, "templates", number, "templateName")
                report.error("ref-argument", message, *where, hint=hint)


def _check_wanted(
    path: FieldPath,
    args: Sequence[Argument],
    templates: Sequence[Policy[AnalysisTemplate]],
    report: Report,
    *,
    queried: bool,
) -> None:
    """Values that nobody asks for; not where queries stand in the rollout itself, which may."""
    wanted = {item.name for template in templates for item in template.spec.args}
    for number, item in enumerate(args):
        where = (*path, "args", number)
        if item.name not in wanted and not queried:
            hint = close(item.name, wanted) or "remove it, or add it to the template's args"
            report.error("ref-argument", f"no template has an argument {item.name}", *where, "name", hint=hint)
        elif item.value is None:
            hint = "write its value"
            report.error("ref-argument", f"the argument {item.name} has no value here", *where, hint=hint)
