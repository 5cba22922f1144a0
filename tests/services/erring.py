"""A service whose autoscaling policy always fails. test_serve_policy.py runs it as a separate process.

    python -m tests.services.erring HOME PORT
It takes changes on standard input like ``tests.services.redeploying``.
"""

import sys
from pathlib import Path
from typing import Any

from services.autoscaling.serve_policy import PipelinePolicy
from services.deployment import serve_config
from tests.services import redeploying


class Erring(PipelinePolicy):
    """The real guard around a scaler that raises."""

    def __init__(
        self, config: dict[str, Any], profiles: list[dict[str, Any]], home: str | None = None
    ) -> None:
        """Replace the real scaler by the failing one."""
        super().__init__(config, profiles, home)
        self._guarded._scaler = _Raising()


class _Raising:
    def targets(self, contexts: Any, now_s: float) -> dict[str, int]:
        raise ValueError("there is no season")


if __name__ == "__main__":
    vars(serve_config)["APPLICATION_POLICY"] = "tests.services.erring:Erring"
    redeploying.main(Path(sys.argv[1]), int(sys.argv[2]))
