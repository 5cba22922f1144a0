"""The ranking phases of a profile, and the models in them, as ranker and reranker."""

from dataclasses import dataclass
from pathlib import Path

from cli.convert.draft import UNKNOWN, Draft, inputs_note, sentences
from cli.convert.vespa.features import MODELS, TOKENS, convert_call
from cli.convert.vespa.profile import PHASES, Call, Profile, calls_in
from cli.convert.vespa.schema_text import Statement
from cli.convert.vespa.trees import tree_features

_BEST, _MOST = 100, 1000
"""Vespa's default of rerank-count, and Rankway's limit."""
_MODEL_NOTES = {
    "gpu-device": "the ONNX runtime uses CPUs only",
    "interop-threads": "an ONNX graph runs its nodes one after the other",
    "execution-mode": "an ONNX graph runs its nodes one after the other",
    "output": "",
}


@dataclass(frozen=True, slots=True)
class Schema:
    """The parts of a schema that profiles use.

    Attributes:
        fields: type by name.
        models: the ``onnx-model`` blocks by name.
        folder: the folder of model files.
    """

    fields: dict[str, str]
    models: dict[str, Statement]
    folder: Path


def convert_phases(draft: Draft, profile: Profile, schema: Schema) -> None:
    """Add the models and features of a profile to the draft."""
    found: dict[str, list[Call]] = {}
    sources: dict[Call, str | None] = {}
    for phase in PHASES:
        if phase in profile.phases:
            calls = profile.calls(profile.phases[phase].text("expression"))
            for call in calls:
                if call.name not in MODELS and call not in sources:
                    sources[call] = convert_call(draft, profile, schema.fields, call)
            found[phase] = [call for call in calls if call.name in MODELS and call.is_call]
    ranked = [phase for phase in found if found[phase]]
    for phase, models in found.items():
        if phase not in ranked:
            draft.decide(
                phase,
                "",
                "an expression without a model. Leave it in Vespa and send its best items as candidates, or export it "
                "as an ONNX graph",
            )
        elif phase == ranked[0]:
            _stage(draft, profile, schema, phase, "ranker", models)
        elif phase == ranked[-1]:
            _stage(draft, profile, schema, phase, "reranker", models)
            _best(draft, profile.phases[phase], phase)
        else:
            draft.decide(
                phase, "stages", "a pipeline has two models. Join this one with a neighbour, or write a stage"
            )
        _limits(draft, profile.phases[phase], phase)


def _stage(draft: Draft, profile: Profile, schema: Schema, phase: str, role: str, calls: list[Call]) -> None:
    call, *others = calls
    expression = profile.phases[phase].text("expression")
    decide = []
    if others:
        decide.append(f"join it with {', '.join(other.text for other in others)} in one graph")
    if [other for other in calls_in(expression) if other.is_call] != [call] and expression.strip() not in {
        *profile.functions,
        *(f"{name}()" for name in profile.functions),
    }:
        decide.append("the expression around it belongs into the graph")
    if call.name in {"lightgbm", "xgboost"}:
        decide.insert(0, f"make an artifact from the {call.name} model models/{call.argument}")
        note = _vector(draft, profile, schema, call.argument)
        name = call.argument.removesuffix(".json")
    else:
        name = call.argument
        block = (schema.models | profile.models).get(name)
        file = "" if block is None else block.text("file") or block.text("uri") or block.text("url")
        note, more = _inputs(draft, profile, schema, block)
        decide = [more or f"make an artifact from {file or 'its ONNX file'}", *decide]
        _options(draft, block, name, role)
    text = sentences(*decide)
    artifact = draft.model(role, name, call.text, decide=text, note=note)
    key = draft.settings[f"{role}.model"].value
    if f"{name}.threads" in draft.settings:
        threads = draft.settings.pop(f"{name}.threads")
        draft.set(f"models.{key}.runtime.kind", "onnx", threads.source)
        draft.set(f"models.{key}.runtime.threads", threads.value, threads.source)
    if call.output:
        draft.set(f"{role}.output", call.output, call.text)
    draft.decide(f"{phase}: {call.text}", f"{role}.model: {artifact}", text)


def _inputs(draft: Draft, profile: Profile, schema: Schema, block: Statement | None) -> tuple[str, str]:
    """Return the comment with a model's inputs, and the decision for a cross-encoder."""
    pairs, is_text = [], False
    for inner in () if block is None else block.all("input"):
        tensor, value = inner.arguments.strip('" '), inner.value.strip()
        function = value.removesuffix("()")
        calls = list(calls_in(profile.functions.get(function, value)))
        source = None
        if calls and calls[0].name in TOKENS:
            source, is_text = TOKENS[calls[0].name], True
        elif len(calls) == 1:
            source = convert_call(draft, profile, schema.fields, calls[0])
        pairs.append(f"{tensor}={source or f'({value})'}")
        if source is None:
            parts = [convert_call(draft, profile, schema.fields, call) for call in profile.calls(value)]
            target = ", ".join(dict.fromkeys(part for part in parts if part))
            draft.decide(
                f"input {tensor}", target, f"{value} is computed: compute it before, or in the graph"
            )
    if is_text:
        draft.feature("context", "query", dtype="text", max_length=512)
        more = "a cross-encoder: make it with `rankway models import` from its Hugging Face folder"
        return inputs_note(pairs), more
    return inputs_note(pairs), ""


def _vector(draft: Draft, profile: Profile, schema: Schema, file: str) -> str:
    """Return the comment with the features that a tree model reads."""
    vector = []
    for name in tree_features(schema.folder / file):
        calls = list(profile.calls(name))
        source = convert_call(draft, profile, schema.fields, calls[0]) if len(calls) == 1 else None
        vector.append(source or f"({name})")
        if source is None:
            draft.decide(f"tree feature {name}", "", "compute it before, or train the trees without it")
    return (
        f"Its vector, in this order: {', '.join(vector)}" if vector else f"Its features are in models/{file}"
    )


def _options(draft: Draft, block: Statement | None, name: str, role: str) -> None:
    for inner in () if block is None else block.body:
        place = f"onnx-model {name}: {inner.keyword}"
        if inner.keyword == "intraop-threads" and inner.value.isdigit():
            draft.set(f"{name}.threads", int(inner.value), place)
            draft.mapped(place, f"models.{role}.runtime.threads")
        elif inner.keyword not in {"file", "input", "uri", "url", "output"}:
            draft.none(place, _MODEL_NOTES.get(inner.keyword, UNKNOWN))


def _best(draft: Draft, phase: Statement, name: str) -> None:
    count = phase.text("rerank-count") or phase.text("total-rerank-count")
    best = int(count) if count.isdigit() and len(count) < 10 else _BEST
    decide = f"{best} in Vespa, at most {_MOST} here" if best > _MOST else ""
    draft.set("reranker.best", max(1, min(best, _MOST)), f"{name}: rerank-count", decide=decide)
    note = "Vespa counts on each node, Rankway in each request" if name == "second-phase" else ""
    draft.mapped(f"{name}: rerank-count", "reranker.best", note)


def _limits(draft: Draft, phase: Statement, name: str) -> None:
    for inner in phase.body:
        if inner.keyword not in {"expression", "rerank-count", "total-rerank-count"}:
            draft.none(f"{name}: {inner.keyword}", "an answer has the k best items, whatever their scores")
