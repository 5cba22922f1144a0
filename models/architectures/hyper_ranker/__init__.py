"""The hyper ranker, and the form in which it is exported."""

from models.architectures.hyper_ranker.ranker import HyperRanker

__all__ = ["HyperRanker"]
