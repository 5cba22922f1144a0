"""Import a model that reads features: ONNX, LightGBM, XGBoost, scikit-learn, or weights of our architectures."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from cli.models.import_target import Place, named, say
from cli.models.runtime_choice import runtime_lines
from models.features.definition import FeatureSet
from models.importing.formats import Format
from models.importing.matching import ImportLayout, Missing
from services.config.pipeline import PipelineConfig
from services.config.runtimes import users_of
from services.deployment.examples import example_requests, opened
from services.errors import ConfigError
from services.paths import home_directory

if TYPE_CHECKING:
    from models.importing.target import Imported, ImportOptions


@dataclass(frozen=True)
class Wishes:
    """The options of the user."""

    inputs: dict[str, tuple[str, ...]]
    missing: str | None
    trained_on: Path | None
    output: str | None
    layout: ImportLayout
    architecture: Path | None


def missing_number(text: str) -> Missing:
    """Return the value of ``--missing``.

    Raises:
        ConfigError: it is neither nan nor a finite number.
    """
    if text.lower() == "nan":
        return "nan"
    try:
        number = float(text)
    except ValueError:
        number = float("inf")
    if not abs(number) < 3.4e38:
        raise ConfigError(f"expected nan or a finite number, got {text!r}", field="--missing")
    return number


def import_graph(
    source: Path,
    kind: Format,
    place: Place,
    wishes: Wishes,
    console: Console,
) -> "Imported":
    """Write the artifact and report each match.

    Raises:
        ConfigError: the pipeline's data cannot be used, or an option is invalid.
        ModelError: the model cannot be imported.
    """
    from models.importing.importer import import_model as write
    from models.importing.target import CANDIDATES, Target
    from models.training.import_weights import import_weights, read_options

    assert place.pipeline is not None and place.model is not None
    definitions, catalogue = opened(place.pipeline, home_directory())
    target = Target(
        definitions=definitions,
        catalogue=catalogue,
        golden=example_requests(place.pipeline, home_directory(), definitions, catalogue),
        name=place.name,
        output=_output_of(place.pipeline, place.model),
        candidates=max((count for _, count in users_of(place.pipeline, place.model)), default=CANDIDATES),
    )
    if kind == "safetensors":
        architecture = None if wishes.architecture is None else read_options(wishes.architecture)
        imported = import_weights(source, place.root, target, architecture)
    else:
        imported = write(source, kind, place.root, target, _options(wishes, definitions))
    lines = [*imported.report]
    if imported.difference is not None:
        lines.append(
            f"scores of {imported.artifact.lineage['library']} and of the graph differ by at most "
            f"{imported.difference:.2g}"
        )
    lines += runtime_lines(imported, place)
    say(console, *lines, f"{named(imported.artifact)}: imported from {kind}, {place.root}")
    return imported


def _options(wishes: Wishes, definitions: FeatureSet) -> "ImportOptions":
    from models.importing.target import ImportOptions
    from models.training.vector_export import read_manifest

    exported = (
        None
        if wishes.trained_on is None
        else read_manifest(wishes.trained_on, feature_hash=definitions.content_hash)
    )
    missing: Missing = "nan" if exported is None else exported.missing
    return ImportOptions(
        inputs=wishes.inputs,
        missing=missing if wishes.missing is None else missing_number(wishes.missing),
        trained_on=None if exported is None else exported.features,
        output=wishes.output,
        layout=wishes.layout,
    )


def _output_of(pipeline: PipelineConfig, model: str) -> str:
    """Return the model output that the pipeline's stage reads."""
    for stage in (pipeline.ranker, pipeline.reranker, pipeline.fallback):
        if stage is not None and stage.model == model:
            return stage.output
    return "score"
