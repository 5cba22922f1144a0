"""Looking at drafts: their findings, and the two files as the service would read them."""

from typing import Any

import yaml

from cli.convert.documents import definitions_text, pipeline_text
from cli.convert.draft import Draft
from models.features.definition import Feature, FeatureSet
from services.config.loading import validated
from services.config.pipeline import PipelineConfig


def outcomes(draft: Draft) -> dict[str, str]:
    """Return the outcome by source."""
    return {finding.source: finding.outcome for finding in draft.findings}


def note(draft: Draft, source: str) -> str:
    """Return the note of the only finding for a source."""
    (found,) = [finding for finding in draft.findings if finding.source == source]
    return found.note


def pipeline(draft: Draft) -> PipelineConfig:
    """Return the pipeline, read from its text."""
    document: Any = yaml.safe_load(pipeline_text(draft, "definitions.yaml", "source"))
    return validated(document, "pipeline.yaml")


def features(draft: Draft) -> dict[str, Feature]:
    """Return the definitions, read from their text, by column."""
    document: Any = yaml.safe_load(definitions_text(draft, "source"))
    return {feature.column: feature for feature in FeatureSet.model_validate(document).features}
