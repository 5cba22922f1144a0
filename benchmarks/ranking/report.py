"""Quality tables as text."""

from typing import Any

LABELS = {"ndcg_at_10": "NDCG@10", "recall_at_10": "Recall@10", "mrr": "MRR"}
_NAME_WIDTH, _WIDTH = 20, 24


def text_of(name: str, part: dict[str, Any]) -> str:
    """Return a data set's table: each mean with its 95% interval over users, and the ranker's lead in NDCG@10."""
    methods = part["methods"]
    metrics = [metric for metric in LABELS if metric in methods[0]]
    heads = [*(LABELS[metric] for metric in metrics), "NDCG@10 ranker - method"]
    lines = [f"{name}: {_account(part)}", f"{'':<{_NAME_WIDTH}}" + "".join(f"{h:<{_WIDTH}}" for h in heads)]
    for row in methods:
        cells = [_interval(row[metric]) for metric in metrics]
        gap = row.get("ndcg_at_10_of_ours_less_it")
        cells.append("" if gap is None else _interval(gap, signed=True))
        lines.append(f"{row['method']:<{_NAME_WIDTH}}" + "".join(f"{c:<{_WIDTH}}" for c in cells).rstrip())
    if "seeds" in part:
        of_seeds = [f"{seed}: {means['ndcg_at_10']:.4f}" for seed, means in part["seeds"].items()]
        lines.append(f"the ranker's NDCG@10 by seed: {', '.join(of_seeds)}")
    return "\n".join(lines)


def _account(part: dict[str, Any]) -> str:
    if "protocol" in part:
        test, items = part["protocol"]["test"], part["protocol"]["items"]
        return f"{test['moments']} moments of {test['users']} users in the test period, {items} items"
    return f"{part['lists']} lists of {part['users']} users, the later half of the hold-out"


def _interval(interval: dict[str, float], *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    return f"{interval['mean']:{sign}.4f} [{interval['low']:{sign}.4f}, {interval['high']:{sign}.4f}]"
