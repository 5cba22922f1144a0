"""DLRM scores, compared with the definition, which is computed field by field."""

import numpy as np
import torch

from models.architectures.dlrm import Dlrm
from models.architectures.options import DlrmOptions

OPTIONS = DlrmOptions(dense=5, fields=3, rows=11, width=8, bottom=(6,), top=(7, 4))
DENSE = torch.randn(9, 5, generator=torch.Generator().manual_seed(1))
SPARSE = torch.randint(0, 11, (9, 3), generator=torch.Generator().manual_seed(2))


def test_scores_match_the_definition_in_the_paper() -> None:
    torch.manual_seed(0)
    model = Dlrm(OPTIONS)
    with torch.inference_mode():
        scores = model({"dense": DENSE, "sparse": SPARSE})
        bottom = model.bottom(DENSE)
        tables = model.table.view(3, 11, 8)
        vectors = [bottom, *(tables[field][SPARSE[:, field]] for field in range(3))]
        dots = [(vectors[i] * vectors[j]).sum(dim=1) for i in range(4) for j in range(i)]
        expected = model.top(torch.cat([bottom, torch.stack(dots, dim=1)], dim=1))[:, 0]
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_dense_features_of_a_request_apply_to_its_candidates() -> None:
    torch.manual_seed(0)
    each = Dlrm(OPTIONS)
    shared = Dlrm(OPTIONS.model_copy(update={"dense_per_request": True}))
    shared.load_state_dict(each.state_dict())
    owner = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2])
    with torch.inference_mode():
        np.testing.assert_allclose(
            shared({"dense": DENSE[:3], "sparse": SPARSE, "request_of": owner}),
            each({"dense": DENSE[:3][owner], "sparse": SPARSE}),
            atol=1e-6,
        )


def test_default_sizes_are_the_published_ones() -> None:
    assert DlrmOptions().rows == 100_000
    model = Dlrm(DlrmOptions(rows=10))
    assert model.table.shape == (26 * 10, 64)
    assert [tuple(p.shape) for name, p in model.named_parameters() if name.endswith("weight")] == [
        (256, 13),
        (64, 256),
        (256, 64 + 27 * 26 // 2),
        (128, 256),
        (64, 128),
        (1, 64),
    ]


def test_signature_names_the_source_of_the_dense_features() -> None:
    shared = OPTIONS.model_copy(update={"dense_per_request": True})
    sources = [[spec.source for spec in Dlrm(o).signature("").inputs] for o in (OPTIONS, shared)]
    assert sources == [["item.dense", "item.sparse"], ["user.dense", "item.sparse", "batch.request_of"]]
