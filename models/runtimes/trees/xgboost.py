"""Loads and executes an XGBoost model in UBJSON or JSON."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.errors import ArtifactError, RuntimeFailure
from models.runtimes.trees.openmp import sleeping_threads
from models.runtimes.trees.rows import Rows
from models.runtimes.trees.xgboost_document import checked_learner
from models.signature import Inputs, Signature

if TYPE_CHECKING:
    from xgboost import Booster


class XgboostRuntime:
    """Executes a model with XGBoost. Several threads may call it."""

    def __init__(self, path: Path, signature: Signature, *, threads: int) -> None:
        """Load the model at ``path``.

        Args:
            path: the file that ``booster.save_model`` writes.
            signature: the inputs and outputs that ``artifact.yaml`` declares.
            threads: CPU threads per call.

        Raises:
            RuntimeFailure: the file is damaged, or the model has other inputs or outputs than the signature.
        """
        try:
            with sleeping_threads():
                self._booster = open_booster(path.read_bytes(), str(path), threads=threads)
        except (ArtifactError, OSError) as error:
            raise RuntimeFailure(str(error)) from error
        self._rows = Rows(signature, int(self._booster.num_features()), str(path))

    def run(self, inputs: Inputs) -> Inputs:
        """Score the rows. XGBoost adds the leaves in float32.

        Raises:
            RuntimeFailure: the inputs differ from the signature, or XGBoost failed on them.
        """
        import xgboost

        rows = self._rows.of(inputs)
        if not len(rows):
            return self._rows.scores(np.zeros(0))
        try:
            # 14% faster than ``predict`` at 200 rows, which copies the rows into a matrix of XGBoost.
            return self._rows.scores(self._booster.inplace_predict(rows, validate_features=False))
        except xgboost.core.XGBoostError as error:
            raise RuntimeFailure(f"XGBoost failed: {reason(error)}, on {list(rows.shape)}") from error


def open_booster(data: bytes, name: str, *, threads: int = 1) -> "Booster":
    """Return the model in ``data``, which are checked before XGBoost reads them.

    Raises:
        ArtifactError: the data are damaged, or the model has no trees or several scores per row.
    """
    import xgboost

    checked_learner(data, name)
    try:
        # A model that was trained on a GPU is executed on the CPU, like every other.
        booster = xgboost.Booster({"nthread": threads, "device": "cpu"})
        booster.load_model(bytearray(data))
    except (xgboost.core.XGBoostError, ValueError) as error:
        raise ArtifactError(
            f"{name}: XGBoost cannot load it: {reason(error)}; save the model again"
        ) from error
    return booster


def reason(error: Exception) -> str:
    """Return the problem without XGBoost's time, source file and stack trace."""
    lines = [line.strip() for line in str(error).partition("Stack trace:")[0].splitlines() if line.strip()]
    return lines[-1].rpartition("cc:")[2] if lines else type(error).__name__
