"""What every handler finds at `request.app.state.homerun`. Holds parts, does nothing."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

from homerun.engine.loop import Health
from homerun.metrics import Metrics
from homerun.service.adapters import AdapterService
from homerun.service.catalog import Catalog
from homerun.service.inference import InferenceService
from homerun.settings import Settings
from homerun.store.tokens import TokenStore


@dataclass(slots=True)
class AppState:
    """What handlers find at `request.app.state.homerun`."""

    settings: Settings
    catalog: Catalog
    inference: InferenceService
    tokens: TokenStore | None
    """None: only the static token counts."""
    health: Callable[[], Health]
    """How the engine is doing."""
    models: Sequence[str]
    """Names that requests can use."""
    metrics: Metrics
    adapters: AdapterService
    upload_threads: Executor
    """Where uploads are written and checked."""
    draining: bool = field(default=False, init=False)
    """Set once, when the server is told to stop."""
