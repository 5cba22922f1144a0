"""A service whose ranker unit answers late. test_calls.py runs it as a separate process.

    python -m tests.services.slow_ranker HOME PORT
It takes changes on standard input like ``tests.services.redeploying``.
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
    """The real unit, but each call takes ``RESPONSE_S`` longer, whatever the number of concurrent calls."""

    async def score(self, payload: bytes) -> bytes:
        """Score one packed batch."""
        await asyncio.sleep(RESPONSE_S)
        return await super().score(payload)


def build(args: app.PipelineArgs) -> Application:
    """Compose the pipeline's deployments with the slow ranker. Serve imports this function by name."""
    assert "RankerUnit" in vars(app)
    vars(app)["RankerUnit"] = SlowRankerUnit
    return app.build(args)


if __name__ == "__main__":
    assert "IMPORT_PATH" in vars(serve_config)
    vars(serve_config)["IMPORT_PATH"] = "tests.services.slow_ranker:build"
    redeploying.main(Path(sys.argv[1]), int(sys.argv[2]))
