"""A service as `homerun serve` puts it together, without HTTP."""

from homerun.metrics import Metrics
from homerun.service.adapters import AdapterService
from homerun.service.inference import InferenceService
from homerun.service.models import ServedModels
from homerun.service.packed_adapters import PackedAdapters
from homerun.settings import Settings
from homerun.store.adapters import AdapterStore


def make_service(models: ServedModels, chosen: Settings) -> InferenceService:
    """The service of loaded models with the adapters below the settings' home."""
    store = AdapterStore(chosen.home)
    adapters = AdapterService(store, models.catalog, models.bases, chosen)
    packed = PackedAdapters(store, chosen.home, grace=0)
    service = InferenceService(
        models, Metrics("test"), adapters, packed, max_queue=chosen.max_queue
    )
    adapters.on_ready = service.prepare
    return service
