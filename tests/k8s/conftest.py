"""The emulated API for tests of ``rankway k8s``."""

from tests.cli.k8s.clusters import api

__all__ = ["api"]
