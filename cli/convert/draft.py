"""The draft of a pipeline: the result of reading another system's configuration.

A draft collects features, models and settings, and a finding for each setting of the source. Nothing of the source is
left out silently: it is mapped, or needs a decision of the user, or has no counterpart in Rankway.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from cli.convert.section import Section
from models.features.definition import Group

Outcome = Literal["mapped", "decide", "none"]
OUTCOMES: Mapping[Outcome, str] = {
    "mapped": "mapped",
    "decide": "needs your decision",
    "none": "has no counterpart",
}
"""The outcomes in the words of the table."""
UNKNOWN = "unknown to this converter"
NO_NOTES: Mapping[str, str] = MappingProxyType({})
_PER_REQUEST = ("user.", "realtime.", "context.", "global.")


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome for one setting of the source.

    Attributes:
        source: the setting, as the source names it.
        target: the field or feature in the files that were written. Empty if there is none.
        note: the reason, or the next thing to do.
    """

    source: str
    outcome: Outcome
    target: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class FeatureDraft:
    """A feature definition.

    Attributes:
        fields: the other fields of its definition, such as dtype and shape.
        decide: the decision that is needed, or an empty string.
    """

    group: Group
    name: str
    fields: Mapping[str, Any]
    decide: str = ""

    @property
    def column(self) -> str:
        """Its name as a source of model inputs, "<group>.<name>"."""
        return f"{self.group}.{self.name}"


@dataclass(frozen=True, slots=True)
class Setting:
    """A value of the pipeline, and the comments above it.

    Attributes:
        source: the setting that it comes from.
        decide: the decision that is needed, or an empty string.
        note: another comment, or an empty string.
    """

    value: Any
    source: str = ""
    decide: str = ""
    note: str = ""


class Draft:
    """A pipeline that is being converted.

    Attributes:
        name: of the pipeline.
        features: by column, in the order of the definitions.
        settings: values of the pipeline by their dotted path, such as ``http.port``.
        findings: one for each setting of the source.
    """

    def __init__(self, name: str) -> None:
        """Start without features, models and findings."""
        self.name = pipeline_name(name)
        self.features: dict[str, FeatureDraft] = {}
        self.settings: dict[str, Setting] = {}
        self.findings: list[Finding] = []

    def mapped(self, source: str, target: str, note: str = "") -> None:
        """Report a setting that was taken over."""
        self._found(Finding(source, "mapped", target, note))

    def decide(self, source: str, target: str, note: str) -> None:
        """Report a setting that needs a decision."""
        self._found(Finding(source, "decide", target, note))

    def none(self, source: str, note: str) -> None:
        """Report a setting without a counterpart."""
        self._found(Finding(source, "none", "", note))

    def unread(self, section: Section, place: str, notes: Mapping[str, str] = NO_NOTES) -> None:
        """Report each key that the converter did not read as a setting without a counterpart.

        Args:
            section: the mapping with the keys.
            place: the mapping's place in the source. Empty for the whole file.
            notes: the reason by key, for keys that are known to have no counterpart.
        """
        for key in section.unread():
            self.none(f"{place}.{key}" if place else key, notes.get(key, UNKNOWN))

    def _found(self, finding: Finding) -> None:
        if finding not in self.findings:
            self.findings.append(finding)

    def feature(self, group: Group, name: str, decide: str = "", **fields: Any) -> str:
        """Add a feature and return its column.

        A feature that is there already, with the same fields, is not added twice. If its fields differ, the new one
        gets a number after its name.
        """
        wanted = feature_name(name)
        unique, number = wanted, 1
        while (found := self.features.get(f"{group}.{unique}")) and found.fields != fields:
            number += 1
            unique = f"{wanted}_{number}"
        draft = FeatureDraft(group, unique, fields, decide)
        self.features.setdefault(draft.column, draft)
        return draft.column

    def set(self, path: str, value: Any, source: str = "", *, decide: str = "", note: str = "") -> None:
        """Set a value of the pipeline."""
        self.settings[path] = Setting(value, source, decide, note)

    def model(self, role: str, name: str, source: str, *, decide: str, note: str = "") -> str:
        """Add a model and give it a role: ``ranker`` or ``reranker``. Return the path of its artifact."""
        key = feature_name(name).replace("_", "-")
        if f"models.{key}.artifact" in self.settings:
            key = f"{key}-{role}"
        artifact = f"{self.name}/models/{key}"
        self.set(f"models.{key}.artifact", artifact, source, decide=decide, note=note)
        self.set(f"{role}.model", key, source)
        return artifact


def sentences(*parts: str) -> str:
    """Return the parts that are not empty as sentences, without the last full stop."""
    first, *rest = [part.removesuffix(".") for part in parts if part] or [""]
    return ". ".join([first, *(part[:1].upper() + part[1:] for part in rest)])


def inputs_note(inputs: Sequence[str]) -> str:
    """Return the comment about the inputs of a model, each ``<input>=<source>``."""
    if not inputs:
        return "Its inputs are not in the source"
    once = [each.partition("=")[0] for each in inputs if each.partition("=")[2].startswith(_PER_REQUEST)]
    rows = f"{', '.join(once)}: one row for each request, which the graph repeats with batch.request_of"
    return sentences(f"Its inputs: {', '.join(inputs)}", rows if once else "")


def pipeline_name(text: str) -> str:
    """Return a name for a pipeline that resembles ``text``: lower case letters, digits and dashes."""
    return _named(text, "-", "pipeline")


def feature_name(text: str) -> str:
    """Return a name for a feature or an event that resembles ``text``: lower case, digits and underscores."""
    return _named(text, "_", "f")


def _named(text: str, joint: str, start: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", joint, text)
    name = re.sub(r"[^a-z0-9]+", joint, words.lower()).strip(joint)[:64].rstrip(joint)
    return name if name[:1].isalpha() else f"{start}{joint}{name}".rstrip(joint)
