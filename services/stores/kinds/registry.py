"""The kinds of feature store. A new kind needs a file in this folder and a line here."""

from typing import Annotated

from autoscale.registries.options import ByKind
from autoscale.registries.registry import Registry
from services.stores.base import AnyStoreKind, StoreKind, StoreOptions

STORES: Registry[AnyStoreKind] = Registry(
    "store",
    {
        "lmdb": "services.stores.kinds.lmdb:STORE",
        "redis": "services.stores.kinds.redis:STORE",
    },
    entry=StoreKind,
    options=StoreOptions,
    group="rankway.stores",
)
StoreConfig = Annotated[StoreOptions, ByKind(STORES)]
