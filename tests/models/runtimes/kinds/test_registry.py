import subprocess
import sys

import pytest

from models.runtimes.kinds.registry import RUNTIMES

ENGINES = {
    "torch",
    "onnxruntime",
    "onnx",
    "deepspeed",
    "accelerate",
    "transformers",
    "openvino",
    "lightgbm",
    "xgboost",
}


@pytest.mark.parametrize("kind", RUNTIMES.builtins)
def test_kind_in_the_options_is_the_registered_name(kind: str) -> None:
    assert RUNTIMES.get(kind).config.model_fields["kind"].annotation.__args__ == (kind,)


def test_reading_options_imports_no_engine() -> None:
    program = (
        "import sys\nfrom models.runtimes.kinds.registry import RUNTIMES\n"
        "for kind in RUNTIMES.builtins: RUNTIMES.get(kind)\nprint(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert ENGINES & set(done.stdout.split()) == set()
