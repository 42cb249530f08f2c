"""What one server offers: each part is handed in, and what is not there is not served."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Protocol

from reconciler.web.access.callers import Access, Anonymous
from reconciler.web.live import Notices
from reconciler.web.routes.health import Wellbeing
from reconciler.web.routes.metrics import Metrics
from reconciler.web.routes.passes import Passes
from reconciler.web.routes.policies import PolicyDesk
from reconciler.web.routes.receipts import Receipts
from reconciler.web.routes.rollouts import Commands
from reconciler.web.routes.status import Knowledge
from reconciler.web.routes.targets import Targets
from reconciler.web.routes.views import Views
from reconciler.web.webhooks import Receiver


class Daemon(Wellbeing, Knowledge, Protocol):
    """What a daemon knows of itself and of the fleet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What is served at one address.

    Attributes:
        knowledge: What the daemon knows: health, readiness, status, services.
        access: Who may ask for what.
        names: What the server answers to beside addresses and localhost, by the header Host; None to answer to anything.
        passes: What runs passes; None to offer none.
        desk: Where policies are read and written; None to offer neither.
        commands: What carries out what people ask of rollouts; None to take nothing.
        receipts: What shows receipts; None to show none.
        webhooks: What takes webhooks; None to take none.
        metrics: What is said to Prometheus, and told of requests; None to say nothing.
        targets: What knows where proxies serve their metrics; None to list none.
        views: What shows rollouts, history, plan and traffic; None to show none.
        notices: Tells those who watch that something changed; None to tell nobody.
        page: Whether the page is served.
    """

    knowledge: Daemon
    access: Access = field(default_factory=Anonymous)
    names: Collection[str] | None = None
    passes: Passes | None = None
    desk: PolicyDesk | None = None
    commands: Commands | None = None
    receipts: Receipts | None = None
    webhooks: Receiver | None = None
    metrics: Metrics | None = None
    targets: Targets | None = None
    views: Views | None = None
    notices: Notices | None = None
    page: bool = False
