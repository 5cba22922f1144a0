"""The emulated API of the tests of ``rankway k8s``."""

from tests.cli.k8s.clusters import api

__all__ = ["api"]
