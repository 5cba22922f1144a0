import pytest

from services.stores.kinds.registry import STORES


@pytest.mark.parametrize("kind", STORES.builtins)
def test_each_kind_has_its_name_and_the_options_that_locate_rows(kind: str) -> None:
    store = STORES.get(kind)
    assert store.config.model_fields["kind"].annotation.__args__ == (kind,)
    assert store.place
    assert set(store.place) <= set(store.config.model_fields)
    assert store.open_writer is not None
    assert store.check is not None
