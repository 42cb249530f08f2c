from __future__ import annotations

import ast
from pathlib import Path

import pytest

import reconciler.policy
from reconciler.errors import Severity
from reconciler.model.tree import FileKind
from reconciler.policy import CODES, load
from reconciler.policy.files import MAX_SIZE
from tests.policy.cases import CASES, PAIRS, doc
from tests.policy.memory import BASE, MemoryTree, found, marked
from tests.policy.rules.references import ALONE

FILES: list[tuple[str, str, bytes | FileKind]] = [
    ("file-kind", "policies/x.yaml", FileKind.SYMLINK),
    ("file-kind", "policies/deep/x.yml", FileKind.SYMLINK),
    ("file-kind", "policies/team", FileKind.SYMLINK),
    ("file-kind", "policies/team", FileKind.SUBMODULE),
    ("file-name", "policies/\udcff.yaml", b""),
    ("file-name", "policies/a\nb.yaml", b""),
    ("file-size", "policies/x.yaml", b"#" * (MAX_SIZE + 1)),
    ("yaml-encoding", "policies/x.yaml", b"\xff"),
    ("yaml-control-character", "policies/x.yaml", b"a: \x00"),
    ("template-name", "envoy-templates/clutser.yaml", b"a: 1"),
    ("file-size", "envoy-templates/cluster.yaml", b"#" * (MAX_SIZE + 1)),
]


@pytest.mark.parametrize(("code", "text"), CASES)
def test_a_fault_gives_one_message_at_its_place(code: str, text: str) -> None:
    """One mistake, one message: the right code, line and column, nothing that follows from it."""
    content, places = marked(text)
    loaded = load(MemoryTree({"policies/base.yaml": BASE, "policies/case.yaml": content}))
    assert [(item.place, item.code) for item in loaded.diagnostics] == [(f"policies/case.yaml:{places[0]}", code)]
    (only,) = loaded.diagnostics
    assert (loaded.mesh is None) == (only.severity is Severity.ERROR)
    assert not only.message.endswith(".")


@pytest.mark.parametrize(("code", "text"), PAIRS)
def test_what_two_documents_claim_is_said_at_both(code: str, text: str) -> None:
    """Neither is dropped silently, and each message names the other document."""
    content, places = marked(text)
    loaded = load(MemoryTree({"policies/base.yaml": BASE, "policies/case.yaml": content}))
    assert [(item.place, item.code) for item in loaded.errors] == [
        (f"policies/case.yaml:{place}", code) for place in places
    ]
    assert [f"document {number}" in item.message for number, item in zip((2, 1), loaded.errors, strict=True)] == [
        True,
        True,
    ]


@pytest.mark.parametrize(("code", "path", "content"), FILES)
def test_a_file_that_is_not_read_is_named(code: str, path: str, content: bytes | FileKind) -> None:
    """Links, submodules, huge files and names that are no text are errors, not gaps."""
    (item,) = load(MemoryTree({"policies/base.yaml": BASE, path: content})).diagnostics
    assert (item.code, item.severity) == (code, Severity.ERROR)
    assert item.file is not None
    assert item.file.isprintable()


@pytest.mark.parametrize(
    ("name", "words"), [("\udcff", "is not UTF-8 text"), ("a\nb", "can't be shown"), ("a\u202eb", "can't be shown")]
)
def test_a_file_name_is_refused_for_what_it_is(name: str, words: str) -> None:
    """A control character is UTF-8: who is told otherwise looks in the wrong place."""
    (item,) = load(MemoryTree({"policies/base.yaml": BASE, f"policies/{name}.yaml": b""})).diagnostics
    assert words in item.message


@pytest.mark.parametrize("host", ["*-a.example.com", "*a.example.com", "*.example.com"])
def test_a_wildcard_may_end_inside_a_label(host: str) -> None:
    """Istio takes them, and Envoy matches them by their end."""
    text = doc(
        "VirtualService",
        f"spec: {{hosts: ['{host}'], gateways: [edge], http: [{{route: [{{destination: {{host: a}}}}]}}]}}\n",
    )
    assert [
        item.code for item in load(MemoryTree({"policies/base.yaml": BASE, "policies/x.yaml": text.encode()})).errors
    ] == []


@pytest.mark.parametrize(
    ("given", "hint"), [("PASSTHROUGH", "write one of"), ("HTP", "HTTP?"), ("HTTTPS", "did you mean HTTPS?")]
)
def test_a_choice_that_is_not_carried_out_is_not_taken_for_a_slip(given: str, hint: str) -> None:
    """Advice to write HTTP for HTTPS would send plain text to a TLS port."""
    ports = f"ports: [{{name: a, number: 1, protocol: {given}}}]"
    text = doc(
        "ServiceEntry", f"spec: {{hosts: [b.c], resolution: STATIC, {ports}, endpoints: [{{address: 1.1.1.1}}]}}\n"
    )
    (item,) = load(MemoryTree({"policies/base.yaml": BASE, "policies/x.yaml": text.encode()})).errors
    assert hint in item.hint


def test_a_host_without_a_service_is_said_to_be_routed_where_it_is() -> None:
    """Sidecars do route it on port 80, as in Istio: a message must not say that they don't."""
    text = doc("VirtualService", "spec: {hosts: [b.example.com], http: [{route: [{destination: {host: a}}]}]}\n")
    (item,) = load(MemoryTree({"policies/base.yaml": BASE, "policies/x.yaml": text.encode()})).diagnostics
    assert "port 80" in item.message


def test_what_servers_write_into_metadata_is_no_error() -> None:
    """Documents that were exported from a cluster carry it."""
    written = "case, uid: a, finalizers: [b], ownerReferences: [{name: c}]"
    text = doc("WorkloadEntry", "spec: {address: 1.1.1.1}\n").replace("case", written)
    assert load(MemoryTree({"policies/base.yaml": BASE, "policies/x.yaml": text.encode()})).diagnostics == ()


def test_nothing_to_load_is_an_error() -> None:
    """A commit that lost its policies must not read as a mesh without proxies."""
    assert found({"README.md": "", "policies/README.md": "x"}) == [" error[no-policies]"]


def test_every_code_has_a_case_and_every_case_a_code() -> None:
    """The table is complete, and nothing in it is dead."""
    tested = {code for code, _ in CASES + PAIRS} | {code for code, _, _ in (*FILES, *ALONE)} | {"no-policies"}
    assert tested == set(CODES)


def test_no_code_is_given_that_is_not_in_the_table() -> None:
    """Whatever the source can emit is documented."""
    emitted = set()
    for path in Path(reconciler.policy.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                named = [word.value for word in node.keywords if word.arg == "code"]
                method = isinstance(node.func, ast.Attribute) and node.func.attr in {"error", "warning"}
                values = named + (node.args[:1] if method else [])
                emitted |= {item.value for item in values if isinstance(item, ast.Constant)}
    assert len(emitted) > 30
    assert emitted <= set(CODES)


def test_errors_have_hints() -> None:
    """A message says what to do, wherever something can be said beyond the message itself."""
    without = set()
    for code, text in CASES:
        content, _ = marked(text)
        items = load(MemoryTree({"policies/base.yaml": BASE, "policies/case.yaml": content})).diagnostics
        without |= {code for item in items if not item.hint}
    assert without <= {"missing-field", "type", "value", "document", "yaml-syntax"}
