"""A pipeline's ranker, trained with several seeds by the trainer that ``rankway train`` uses."""

from collections.abc import Iterator
from pathlib import Path

from models.datasets.build import EventData
from models.datasets.updating import ensure_event_data
from models.training.folders import TrainingFolders
from models.training.loop import Progress
from models.training.train import Trainer
from services.config.pipeline import PipelineConfig
from services.stages.features import load_definitions


def trained_rankers(
    pipeline: PipelineConfig, home: Path, seeds: int, progress: Progress
) -> Iterator[tuple[int, Path]]:
    """Yield each ranker's seed and artifact: the pipeline's own ranker, then rankers with the following seeds.

    Rankers that are out of date are trained, and missing event data are built.

    Raises:
        ArtifactError: the events are not installed.
        TrainingError: the training failed.
    """
    training = pipeline.training
    assert training is not None
    root = home / pipeline.models[pipeline.required_ranker().model].artifact
    timelines = None
    if training.events is not None:
        events = EventData((home / pipeline.catalogue).parent)
        ensure_event_data(training.events, events)
        timelines = events.timelines
    features = load_definitions(home / pipeline.features.definitions)
    for seed in range(training.seed, training.seed + seeds):
        root_of_seed = root if seed == training.seed else root.with_name(f"{root.name}-seed-{seed}")
        folders = TrainingFolders(
            catalogue=home / pipeline.catalogue,
            data=home / training.data,
            ranker=root_of_seed,
            timelines=timelines,
        )
        config = training.model_copy(update={"seed": seed, "reranker": None, "distilled": None})
        Trainer(config, features, folders, progress).run()
        yield seed, root_of_seed
