"""The published figures to which the rungs are compared.

The article is Quoc N. Le and Kip Kaehler, "How We Scaled Bert To Serve 1+ Billion Daily Requests on CPUs", Roblox, 27
May 2020, https://blog.roblox.com/2020/05/scaled-bert-serve-1-billion-daily-requests-cpus/. It measured one server with
36 cores of Intel Xeon Scalable processors. Its figures are taken from texts that quote it:

- "over 30" is the gain of all rungs through int8: Tunstall, von Werra and Wolf, "Natural Language Processing with
  Transformers", O'Reilly 2022, chapter 8, page 209 and figure 8-1.
- "8" is the gain of int8 in requests per second: Huyen, "Designing Machine Learning Systems", O'Reilly 2022, chapter 7,
  model compression.
- "below 20 ms" is the latency that was required: Le and Kaehler, the talk of the same title, Data + AI Summit, 26 May
  2021, abstract and slide 5.
- "40%" is the hit rate of the cache: https://blog.shilpathota.com/article/p/49d493c50435.

"1.6" is not Roblox's. It is derived from "60% faster" in the abstract of Sanh, Debut, Chaumond and Wolf, "DistilBERT, a
distilled version of BERT: smaller, faster, cheaper and lighter", 2019, arXiv:1910.01108.

The other rungs have no factor, because no source for one was found. In particular the published total has no factor of
its own for the workers.
"""

from collections.abc import Mapping
from types import MappingProxyType

TOTAL = "over 30 (Roblox)"
"""The published gain of all rungs together. It is no gain over the rung before, so it is not in ``FACTORS``."""
LATENCY = "below 20 ms (Roblox)"
FACTORS: Mapping[str, str] = MappingProxyType(
    {
        "6 layers": "1.6 (derived, DistilBERT)",
        "int8": "8 (Roblox)",
        "cache": "40% hits (Roblox)",
    }
)
"""The published factor of a rung over the rung before it. Rungs without a published factor are missing."""
