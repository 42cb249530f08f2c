"""From a mesh to each proxy's view: pure, deterministic, from prototypes in `envoy-templates/`.

`Prototypes.parse` reads the templates once; `compile_mesh` turns a mesh and its services into one view per proxy, `MeshCompiler`
one mesh after another;
`bootstrap` says what an Envoy is started with.
"""

from reconciler.compile.bootstrap import AdminAddressError, RuntimeBootstrapError, bootstrap
from reconciler.compile.compiler import Compiled, compile_mesh
from reconciler.compile.incremental import MeshCompiler
from reconciler.compile.prototypes import Prototypes, TemplateError

__all__ = [
    "AdminAddressError",
    "Compiled",
    "MeshCompiler",
    "Prototypes",
    "RuntimeBootstrapError",
    "TemplateError",
    "bootstrap",
    "compile_mesh",
]
