"""The published figures to which the rungs are compared.

- Roblox: Le and Kaehler, "How We Scaled Bert To Serve 1+ Billion Daily Requests on CPUs", May 2020,
  https://blog.roblox.com/2020/05/scaled-bert-serve-1-billion-daily-requests-cpus/
- DistilBERT: Sanh et al. 2019, arXiv:1910.01108. It is 60% faster than BERT-base.
- PyTorch: https://docs.pytorch.org/docs/stable/quantization.html. int8 is typically 2 to 4 times as fast as fp32.
"""

from collections.abc import Mapping
from types import MappingProxyType

TOTAL = "over 30 (Roblox)"
LATENCY = "median below 20 ms (Roblox)"
HIT_RATE = 0.4
FACTORS: Mapping[str, str] = MappingProxyType(
    {
        "6 layers": "1.6 (DistilBERT)",
        "dynamic shapes": "over 2 (Roblox)",
        "int8": "2 to 4 (PyTorch)",
        "workers": TOTAL + ", all rungs so far",
        "cache": f"{HIT_RATE:.0%} hits (Roblox)",
    }
)
"""The published factor of a rung over the rung before it. Rungs without a published factor are missing."""
