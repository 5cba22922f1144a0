"""``rankway features export``: Parquet files whose vectors have the bits that serving builds."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from onnx import TensorProto, helper
from typer.testing import CliRunner, Result

from cli.main import root
from services.app import StandaloneApp
from tests.models.importing.originals import graph
from tests.pipelines import make_pipeline
from tests.services.servers import ask, http_server, rank_request

COLUMNS = "item.value,user.bias,context.position,item.start,context.shift"
NUMBERS = [
    "item.value",
    "user.bias",
    "context.position.0",
    "context.position.1",
    "item.start.0",
    "item.start.1",
    "context.shift",
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    return tmp_path


def rankway(*words: object) -> Result:
    arguments = [str(word) for word in words]
    return CliRunner().invoke(root(arguments), arguments)


def pick(path: Path, column: int) -> Path:
    """Write a ranker whose score is one number of its vector."""
    return graph(
        path,
        {"dense": (TensorProto.FLOAT, ["n", len(NUMBERS)])},
        [
            helper.make_node("Constant", [], ["column"], value_int=column),
            helper.make_node("Gather", ["dense", "column"], ["score"], axis=1),
        ],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n"])],
    )


@pytest.mark.parametrize("column", [1, 2, 4])
def test_exported_vectors_have_the_bits_of_served_requests(home: Path, column: int) -> None:
    changes: dict[str, Any] = {
        "log": {"path": "log"},
        "training": {"data": "impressions", "ranker": {"items": ["value"]}},
    }
    pipeline = make_pipeline(home, changes)
    imported = rankway("models", "import", pick(home / "pick.onnx", column), "--config", pipeline,
                       "--model", "ranker", "--input", f"dense={COLUMNS}")  # fmt: skip
    assert imported.exit_code == 0, imported.output
    with http_server(StandaloneApp(pipeline, home)) as port:
        answers = [
            ask(
                port,
                rank_request(
                    {
                        "user_id": f"u{user}" if user else "unknown",
                        "k": 20,
                        "context": {"position": [0.1 + user / 7, 1 / 3], "shift": user / 3},
                    }
                ),
            ).json
            for user in range(6)
        ]
    exported = rankway("features", "export", pipeline, home / "data", "--model", "ranker",
                       "--from-log", home / "log")  # fmt: skip
    assert exported.exit_code == 0, exported.output
    served = [(item["id"], item["score"]) for answer in answers for item in answer["items"]]
    tables = [pq.read_table(home / f"data/{split}.parquet") for split in ("train", "valid")]
    assert tables[0].column_names == ["request", "item", "label", *NUMBERS]
    vectors = [
        pair
        for table in tables
        for pair in zip(table["item"].to_pylist(), table[NUMBERS[column]].to_pylist(), strict=True)
    ]
    assert sorted(np.float32(score).tobytes() + item.encode() for item, score in served) == sorted(
        np.float32(number).tobytes() + item.encode() for item, number in vectors
    )


def test_the_manifest_names_the_vector_and_the_lists(home: Path) -> None:
    pipeline = served_log(home)
    result = rankway("features", "export", pipeline, home / "data", "--features", COLUMNS, "--missing", "-1",
                     "--from-log", home / "log")  # fmt: skip
    assert result.exit_code == 0, result.output
    manifest = yaml.safe_load((home / "data/vectors.yaml").read_text())
    assert manifest["features"] == COLUMNS.split(",")
    assert (manifest["missing"], manifest["lists"]) == (-1.0, {"train": 3, "valid": 2})


def served_log(home: Path) -> Path:
    changes: dict[str, Any] = {
        "log": {"path": "log"},
        "training": {"data": "impressions", "ranker": {"items": ["value"]}},
    }
    pipeline = make_pipeline(home, changes)
    with http_server(StandaloneApp(pipeline, home)) as port:
        for user in range(5):
            assert json.loads(json.dumps(ask(port, rank_request({"user_id": f"u{user}"})).json))["items"]
    return pipeline


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--features", "item.values"], "did you mean item.value"),
        (["--features", "item.value,item.value"], "item.value is given twice"),
        (["--features", "user.history"], "is ragged"),
        (["--features", "item.value", "--model", "ranker"], "give one of them"),
        (["--model", "ranker"], "reads 0 vectors"),
        (["--missing", "some"], "expected nan or a finite number"),
        ([], "no impressions at"),
    ],
)
def test_wrong_arguments_write_nothing(home: Path, words: list[str], message: str) -> None:
    pipeline = make_pipeline(home, {"training": {"data": "impressions", "ranker": {"items": ["value"]}}})
    result = rankway("features", "export", pipeline, home / "data", *words)
    assert result.exit_code == 2, result.output
    assert message in result.output
    assert not (home / "data").exists()


def test_another_folder_is_not_replaced(home: Path) -> None:
    pipeline = make_pipeline(home, {"training": {"data": "impressions", "ranker": {"items": ["value"]}}})
    result = rankway("features", "export", pipeline, home / "model")
    assert result.exit_code == 2, result.output
    assert "exists and is no export of vectors" in result.output
    assert (home / "model/artifact.yaml").is_file()
