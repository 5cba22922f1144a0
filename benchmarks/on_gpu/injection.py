"""DeepSpeed's kernel injection. It has kernels for Hugging Face models, not for our own layers.

The model is a text ranker in the shape of BERT-base, with random weights, in float16. The service runs it with
``runtime: {kind: deepspeed, kernel_injection: true}``.
"""

import contextlib
import io
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch

from benchmarks.on_gpu.agreement import TOLERANCE, Disagreement
from benchmarks.on_gpu.cells import Bench
from benchmarks.on_gpu.clock import device_seconds, repeats_for
from benchmarks.on_gpu.variants import NotHere

_PAIRS, _TOKENS = 64, 128


@torch.inference_mode()
def measure_injection(bench: Bench) -> list[dict[str, Any]]:
    """Measure the model without and with injected kernels.

    Raises:
        NotHere: there is no GPU, or a package is missing.
        Disagreement: the injected kernels compute other scores.
    """
    if bench.device.type != "cuda":
        raise NotHere("needs a GPU")
    for package in ("deepspeed", "transformers"):
        if find_spec(package) is None:
            raise NotHere(f"needs the package {package}")
    import deepspeed

    transformers: Any = import_module("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(num_labels=1)
    model = transformers.BertForSequenceClassification(config).eval().half().to(bench.device)
    ids = torch.randint(1000, config.vocab_size, (_PAIRS, _TOKENS), device=bench.device)
    mask = torch.ones_like(ids)

    def scores(of: Any) -> torch.Tensor:
        return of(input_ids=ids, attention_mask=mask).logits[:, 0].float()  # type: ignore[no-any-return]

    expected = scores(model)
    rows = [_row(bench, "plain", lambda: scores(model), config, 0.0)]
    with contextlib.redirect_stdout(io.StringIO()):  # DeepSpeed prints the layers that it finds
        injected = deepspeed.init_inference(model, dtype=torch.half, replace_with_kernel_inject=True)
    difference = float((scores(injected) - expected).abs().max() / expected.abs().max())
    if not difference <= TOLERANCE[torch.bfloat16]:
        raise Disagreement(f"the scores differ by {difference:.2g} of the largest score")
    return [*rows, _row(bench, "kernel injection", lambda: scores(injected), config, difference)]


def _row(
    bench: Bench, variant: str, call: Callable[[], object], config: Any, difference: float
) -> dict[str, Any]:
    batch_s = device_seconds(call, bench.device, repeats_for(call, bench.device, bench.seconds))
    d, f = config.hidden_size, config.intermediate_size
    operations = _PAIRS * config.num_hidden_layers * _TOKENS * (8 * d * d + 4 * d * f + 4 * d * _TOKENS)
    return {
        "workload": "bert-base pairs, float16",
        "candidates": _PAIRS,
        "variant": variant,
        "requests_per_batch": 1,
        "batch_ms": round(batch_s * 1e3, 4),
        "candidates_per_s": round(_PAIRS / batch_s),
        "operations_share": round(operations / batch_s / bench.rates.operations_per_s, 4),
        "largest_difference": round(difference, 6),
    }
