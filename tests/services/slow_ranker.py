"""A service whose ranker unit answers late: run by test_calls.py as a process of its own.

    python -m tests.services.slow_ranker HOME PORT
As ``tests.services.redeploying``, which takes the changes on standard input.
"""

import asyncio
import sys
from pathlib import Path

from ray.serve import Application

from services import app
from services.deployment import serve_config
from services.units.ranker_unit import RankerUnit
from tests.services import redeploying

RESPONSE_S = 0.25


class SlowRankerUnit(RankerUnit):
    """The real unit. Each call takes ``RESPONSE_S`` longer, however many there are at once."""

    async def score(self, payload: bytes) -> bytes:
        """Score one packed batch."""
        await asyncio.sleep(RESPONSE_S)
        return await super().score(payload)


def build(args: app.PipelineArgs) -> Application:
    """Compose the pipeline's deployments with the slow ranker; Serve imports this by name."""
    assert "RankerUnit" in vars(app)
    vars(app)["RankerUnit"] = SlowRankerUnit
    return app.build(args)


if __name__ == "__main__":
    assert "IMPORT_PATH" in vars(serve_config)
    vars(serve_config)["IMPORT_PATH"] = "tests.services.slow_ranker:build"
    redeploying.main(Path(sys.argv[1]), int(sys.argv[2]))
