"""Second moments: they are those of the inputs that the layers really get, without padding."""

import torch
from torch import Tensor, nn

from models.architectures.resizing import parts_of
from models.compress.steps.factorization.inputs import second_moments
from models.compress.steps.losses import steps_of
from models.compress.steps.modules import linears_of
from models.features.catalogue import Catalogue
from tests.models.compress.works import RandomData
from tests.models.worlds import make_ranker


def test_moments_are_means_over_all_inputs(catalogue: Catalogue) -> None:
    module = make_ranker()
    lists = RandomData(catalogue).lists("train", module.signature(""), 40)
    moments = second_moments(module, lists)
    assert set(moments) == set(linears_of(module))
    seen: list[Tensor] = []
    layer = module.get_submodule("layers.1.down_proj")

    def see(_layer: nn.Module, args: tuple[Tensor, ...]) -> None:
        seen.append(args[0].flatten(0, -2))

    handle = layer.register_forward_pre_hook(see)
    with torch.inference_mode():
        for step in steps_of(lists):
            module(step.inputs)
    handle.remove()
    rows = torch.cat(seen).double()
    assert rows.shape[1] == parts_of(layer)[0].in_features
    torch.testing.assert_close(moments["layers.1.down_proj"], rows.T @ rows / len(rows), rtol=1e-4, atol=1e-6)


def test_the_module_keeps_no_hooks(catalogue: Catalogue) -> None:
    module = make_ranker()
    second_moments(module, RandomData(catalogue).lists("train", module.signature(""), 4))
    assert not any(part._forward_pre_hooks for part in module.modules())
