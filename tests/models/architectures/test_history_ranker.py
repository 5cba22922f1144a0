"""The history ranker: history encoding, cost per candidate, and splitting over ranks."""

import copy
import threading

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.utils.flop_counter import FlopCounterMode

from models.architectures.history_ranker import HistoryRanker
from models.architectures.layers import TransformerLayer, layers_of
from models.architectures.options import SIZES, HistoryRankerOptions
from models.assembly import InputAssembler
from models.features.catalogue import Catalogue
from tests.models.worlds import RANKER, make_batch, make_ranker

TOLERANCE = 1e-5


def inputs_of(
    model: HistoryRanker, catalogue: Catalogue, lengths: list[int], past: list[int]
) -> dict[str, Tensor]:
    assembler = InputAssembler(model.signature(""), catalogue)
    return {name: torch.from_numpy(v) for name, v in assembler(make_batch(lengths, past)).items()}


def test_the_history_is_encoded_causally(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_ranker()
    inputs = inputs_of(model, catalogue, [1], [6])
    _, second_layer = layers_of(model.layers)
    project = second_layer.project
    seen: list[torch.Tensor] = []

    def spy(x: torch.Tensor, batch: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        seen.append(x.clone())
        return project(x, batch)

    monkeypatch.setattr(second_layer, "project", spy)
    with torch.inference_mode():
        model(inputs)
        inputs["history_rating"][0, 4] += 1.0
        model(inputs)
    before, after = (x for x in seen if len(x) == 7)  # the beginning and six ratings
    moved = (before - after).abs().amax(dim=1) > TOLERANCE
    assert moved.tolist() == [False] * 5 + [True] * 2  # earlier tokens do not attend to rating 4


def test_module_keeps_its_options_and_the_usual_projection_names() -> None:
    model = make_ranker()
    assert model.options == RANKER
    names = {name.rpartition(".")[0].rpartition(".")[2] for name in model.state_dict() if "proj" in name}
    assert {"q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj"} <= names


def test_cost_is_linear_in_candidates(catalogue: Catalogue) -> None:
    model = make_ranker()

    def operations(candidates: int) -> int:
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            model(inputs_of(model, catalogue, [candidates], [8]))
        return int(counter.get_total_flops())

    one, thousand, two_thousand = (operations(count) for count in (1, 1000, 2000))
    each = (two_thousand - thousand) / 1000
    # The history is encoded once for any number of candidates.
    assert thousand - one == pytest.approx(999 * each)


class RowSplitLinear(nn.Module):
    """One rank's part of a row-split projection. Partial sums are added over the ranks, and then the bias once."""

    def __init__(self, whole: nn.Linear, rank: int, ranks: int, all_reduce: "AllReduce") -> None:
        super().__init__()
        self.weight = whole.weight.chunk(ranks, dim=1)[rank]
        self.bias, self.rank, self.all_reduce = whole.bias, rank, all_reduce

    def forward(self, x: Tensor) -> Tensor:
        return self.all_reduce.total(self.rank, linear(x, self.weight)) + self.bias


class AllReduce:
    """Sums the parts of all ranks, which are threads."""

    def __init__(self, ranks: int) -> None:
        self.parts: list[Tensor] = [torch.empty(0)] * ranks
        self.barrier = threading.Barrier(ranks, timeout=30)

    def total(self, rank: int, part: Tensor) -> Tensor:
        self.parts[rank] = part
        self.barrier.wait()
        total = torch.stack(self.parts).sum(dim=0)
        self.barrier.wait()
        return total


def split(layer: TransformerLayer, rank: int, ranks: int, all_reduce: AllReduce) -> None:
    """Cut a layer to one rank's heads and part of the feed-forward, using only the projections' names."""
    for name in ("q_proj", "k_proj", "v_proj", "up_proj"):
        whole = getattr(layer, name)
        part = nn.Linear(whole.in_features, whole.out_features // ranks, bias=whole.bias is not None)
        part.weight = nn.Parameter(whole.weight.chunk(ranks)[rank])
        if whole.bias is not None:
            part.bias = nn.Parameter(whole.bias.chunk(ranks)[rank])
        setattr(layer, name, part)
    for name in ("o_proj", "down_proj"):
        setattr(layer, name, RowSplitLinear(getattr(layer, name), rank, ranks, all_reduce))


def test_heads_split_over_two_ranks_give_the_same_scores(catalogue: Catalogue) -> None:
    whole = make_ranker()
    inputs = inputs_of(whole, catalogue, [9, 30], [8, 3])
    all_reduce, scores = AllReduce(2), [torch.empty(0), torch.empty(0)]

    def work(rank: int) -> None:
        model = copy.deepcopy(whole)
        for layer in layers_of(model.layers):
            split(layer, rank, 2, all_reduce)
        with torch.inference_mode():
            scores[rank] = model(inputs)

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    with torch.inference_mode():
        wanted = whole(inputs)
    for rank_scores in scores:
        torch.testing.assert_close(rank_scores, wanted, atol=TOLERANCE, rtol=TOLERANCE)


def test_the_large_size_has_300_million_parameters() -> None:
    reads = RANKER.model_dump(exclude=set(SIZES["large"].model_dump()))
    with torch.device("meta"):
        model = HistoryRanker(HistoryRankerOptions(**reads, **SIZES["large"].model_dump()))
    assert sum(parameter.numel() for parameter in model.parameters()) >= 300_000_000


def test_repeats_give_a_candidate_the_history_values_of_the_same_item() -> None:
    options = HistoryRankerOptions(
        items={"colour": (1,)},
        history_values=RANKER.history_values,
        number=("number", 9),
        repeats=True,
        width=16,
        heads=2,
        hidden=16,
    )
    torch.manual_seed(0)
    model = HistoryRanker(options).eval()
    inputs = {
        "item_colour": torch.zeros(1, 3, 1),
        "past_colour": torch.zeros(1, 4, 1),
        "item_number": torch.tensor([[5, 6, 0]]),
        "past_number": torch.tensor([[4, 5, 0, 6]]),
        "history_rating": torch.tensor([[0.1, 0.7, 0.3, 0.9]]),
        "history_age_days": torch.zeros(1, 4),
        "history_mask": torch.tensor([[True, True, True, False]]),
        "chunk_of": torch.tensor([0]),
    }
    repeats = model._repeats(inputs)
    assert repeats[0, :, 0].tolist() == [1.0, 0.0, 0.0]  # 6 is in the padding, and 0 is not an item
    assert repeats[0, 0, 1].item() == pytest.approx(0.7)
    assert (repeats[0, 1:] == 0).all()
    assert model(inputs).shape == (1, 3)
