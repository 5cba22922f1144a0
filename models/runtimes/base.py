"""What executes an artifact."""

from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from models.signature import Inputs


class RuntimeConfig(BaseModel):
    """How an artifact is executed; one thread a CPU replica, many replicas."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["onnx", "torch"] = "onnx"
    threads: int = Field(default=1, ge=1, le=256)


class Runtime(Protocol):
    """A loaded model: synchronous, called from one thread at a time."""

    def run(self, inputs: Inputs) -> Inputs:
        """Give the outputs by name.

        Raises:
            RuntimeFailure: the model could not be executed on these inputs.
        """
        ...
