"""From a mesh to each proxy's view: pure, deterministic, from prototypes in `envoy-templates/`.

`Prototypes.parse` reads the templates once; `compile_mesh` turns a mesh and its services into one view per proxy, `MeshCompiler`
one mesh after another;
`bootstrap` says what an Envoy is started with, `grpc_bootstrap` a gRPC application.
"""

from reconciler.compile.bootstrap import (
    AdsMismatchError,
    AdsPlaintextError,
    GrpcBootstrapError,
    MetricsCertificateError,
    ObserverCertificateError,
    RuntimeBootstrapError,
    Start,
    Started,
    bootstrap,
    started,
)
from reconciler.compile.bootstrap_admin import AdminAddressError
from reconciler.compile.bootstrap_link import AdsAddressError, AdsLink
from reconciler.compile.bootstrap_metrics import labels as metrics_labels
from reconciler.compile.compiler import Compiled, compile_mesh
from reconciler.compile.grpcbootstrap import grpc_bootstrap
from reconciler.compile.incremental import MeshCompiler
from reconciler.compile.prototypes import Prototypes, TemplateError

__all__ = [
    "AdminAddressError",
    "AdsAddressError",
    "AdsLink",
    "AdsMismatchError",
    "AdsPlaintextError",
    "Compiled",
    "GrpcBootstrapError",
    "MeshCompiler",
    "MetricsCertificateError",
    "ObserverCertificateError",
    "Prototypes",
    "RuntimeBootstrapError",
    "Start",
    "Started",
    "TemplateError",
    "bootstrap",
    "compile_mesh",
    "grpc_bootstrap",
    "metrics_labels",
    "started",
]
