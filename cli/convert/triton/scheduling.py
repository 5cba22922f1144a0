"""Batching, instances, priorities and the other settings of a Triton model."""

from cli.convert.draft import Draft
from cli.convert.section import Section
from cli.convert.triton.models import Model

_WITHOUT = {
    "optimization": "ONNX Runtime's graph optimisations are always on, and its other execution providers are not used",
    "parameters": "options of the back end",
    "sequence_batching": "requests are independent. The state of a user is in the store",
    "model_transaction_policy": "a request has exactly one answer",
    "model_metrics": "Rankway's histograms have fixed buckets",
    "metric_tags": "labels of the metrics are fixed",
    "model_operations": "custom operators of TensorFlow. Write a runtime of kind python",
    "model_repository_agents": "artifacts have checksums, and nothing else runs while they are loaded",
    "cc_model_filenames": "an artifact has one file of weights",
    "batch_output": "outputs have one row for each candidate",
    "runtime": "the back end's library",
    "batch_input": "declare the source batch.offsets or batch.request_of in the artifact's signature",
}
_WITHOUT_QUEUE = "Rankway has one limit of waiting candidates, and drops the lowest priority first"


def convert_scheduling(draft: Draft, model: Model, *, leads: bool) -> None:
    """Report all settings of a model besides its tensors.

    Args:
        draft: the pipeline. It gets the settings that it can hold.
        model: the model.
        leads: whether the model's batching and instances are those of the pipeline's unit.
    """
    config, place = model.config, model.name
    batch = config.integer("max_batch_size", 0)
    if leads and batch > 0:
        draft.set(
            "units.main.batching.max_candidates",
            batch,
            f"{place}.max_batch_size",
            decide="candidates in a batch, if one row of Triton's batch was one candidate",
        )
        draft.decide(
            f"{place}.max_batch_size", "units.main.batching.max_candidates", "in candidates, not in requests"
        )
    elif batch > 0 and not model.is_ensemble:
        draft.none(f"{place}.max_batch_size", "the batch of the unit holds for all its stages")
    if "dynamic_batching" in config:
        _batching(draft, config.section("dynamic_batching"), place)
    _instances(draft, config.sections("instance_group"), place, leads)
    if config.section("response_cache").get("enable") is True:
        draft.set(
            "response_cache.ttl_s", 10.0, f"{place}.response_cache", decide="for how long an answer is kept"
        )
        draft.decide(
            f"{place}.response_cache",
            "response_cache.ttl_s",
            "whole answers, with a time to live",
        )
    if "version_policy" in config:
        config.get("version_policy")
        draft.mapped(f"{place}.version_policy", "", "`rankway release` stages and activates versions")
    if "model_warmup" in config:
        config.get("model_warmup")
        draft.mapped(f"{place}.model_warmup", "", "a replica is ready only after every shape has run")
    draft.unread(config, place, _WITHOUT)


def _batching(draft: Draft, batching: Section, place: str) -> None:
    place = f"{place}.dynamic_batching"
    levels = batching.integer("priority_levels", 0)
    if levels > 1:
        draft.set(
            "requests.max_priority",
            levels - 1,
            f"{place}.priority_levels",
            note="the highest number goes first",
        )
        draft.mapped(
            f"{place}.priority_levels", "requests.max_priority", "Triton's level 1 becomes the highest number"
        )
    if "default_priority_level" in batching:
        batching.get("default_priority_level")
        draft.none(f"{place}.default_priority_level", "a request without a priority has 0, the lowest")
    if "default_queue_policy" in batching:
        _queue(draft, batching.section("default_queue_policy"), f"{place}.default_queue_policy")
    notes = {
        "preferred_batch_size": "batches have any size up to max_candidates",
        "max_queue_delay_microseconds": "nothing waits for a batch to fill: an idle model starts at once",
        "preserve_ordering": "answers are sent as they are ready",
        "priority_queue_policy": _WITHOUT_QUEUE,
    }
    draft.unread(batching, place, notes)


def _queue(draft: Draft, queue: Section, place: str) -> None:
    microseconds = queue.integer("default_timeout_microseconds", 0)
    if microseconds > 0:
        deadline_ms = microseconds / 1000
        draft.set("requests.default_deadline_ms", deadline_ms, f"{place}.default_timeout_microseconds")
        if deadline_ms > 5000:
            draft.set("requests.max_deadline_ms", deadline_ms, f"{place}.default_timeout_microseconds")
        draft.mapped(
            f"{place}.default_timeout_microseconds",
            "requests.default_deadline_ms",
            "Rankway's deadline is that of the answer, not only of the queue",
        )
    if "max_queue_size" in queue:
        size = queue.integer("max_queue_size", 0)
        draft.decide(
            f"{place}.max_queue_size",
            "units.main.batching.max_waiting_candidates",
            f"{size} requests wait at most. Rankway counts candidates: multiply by those of a request",
        )
    if "timeout_action" in queue:
        action = queue.text("timeout_action")
        if action == "DELAY":
            draft.none(f"{place}.timeout_action", "a late request is answered from the fallback, or refused")
        else:
            draft.mapped(
                f"{place}.timeout_action", "fallback", "refused with 429, or answered from the fallback"
            )
    if "allow_timeout_override" in queue:
        allowed = queue.get("allow_timeout_override") is True
        note = (
            "deadline_ms of a request"
            if allowed
            else "callers may always send deadline_ms, up to the maximum"
        )
        draft.mapped(f"{place}.allow_timeout_override", "requests.max_deadline_ms", note)
    draft.unread(queue, place)


def _instances(draft: Draft, groups: list[Section], place: str, leads: bool) -> None:
    total = 0
    for group in groups:
        at = f"{place}.{group.path}"
        count, kind = group.integer("count", 1), group.text("kind", "KIND_AUTO")
        if count < 1:
            raise group.error("count", "expected at least 1", count)
        total += count * max(1, len(group.integers("gpus")))
        group.get("name")
        if kind == "KIND_GPU":
            draft.decide(
                at,
                "units.main.pools",
                "the ONNX runtime uses CPUs only. For GPUs see units.<name>.pools",
            )
        elif leads:
            draft.mapped(
                at, "units.main.replicas", "an instance becomes a replica, a process with one thread"
            )
        else:
            draft.none(at, "all stages of a unit have the same number of replicas")
        for key in group.unread():
            draft.none(f"{at}.{key}", "Ray places the replicas")
    if leads and total > 0:
        draft.set("units.main.replicas", total, f"{place}.instance_group")
