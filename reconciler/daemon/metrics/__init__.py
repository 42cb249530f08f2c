"""What the daemon says of itself to Prometheus. The only room that knows prometheus-client.

`families` names every metric, once; `tally` counts what happens, as an observer of passes; `scrape` reads what is known at the moment
of a scrape, so that series of what has left the fleet are gone by themselves; `exposition` puts both into a registry of our own.
"""

from reconciler.daemon.metrics.exposition import Metrics
from reconciler.daemon.metrics.families import FAMILIES, Family, Form
from reconciler.daemon.metrics.sources import Sources
from reconciler.daemon.metrics.tally import Tally

__all__ = ["FAMILIES", "Family", "Form", "Metrics", "Sources", "Tally"]
