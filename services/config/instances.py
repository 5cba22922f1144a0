"""Instances of models: how many model threads a unit has, and whether its runtimes and CPUs allow so many."""

from services.config.pipeline import PipelineConfig
from services.config.placement import models_of, placements
from services.errors import ConfigError


def model_threads(config: PipelineConfig, unit: str) -> int:
    """Return the number of model threads in a replica: the most instances of any model in the unit, at least 1."""
    return max([1, *(config.models[name].instances for name in models_of(config, unit))])


def refuse_instances(config: PipelineConfig, unit: str) -> None:
    """Check that the models of a unit can have as many instances as configured.

    Raises:
        ConfigError: a runtime cannot run several batches at once, or the instances of a model have more threads than a
            replica has CPUs.
    """
    for name in models_of(config, unit):
        model = config.models[name]
        runtime, instances = model.runtime, model.instances
        if instances == 1:
            continue
        if instances > runtime.max_instances:
            raise ConfigError(
                f"{runtime.kind} runs at most {runtime.max_instances} batches of a model at once with these options, "
                f"got {instances}; {runtime.more_instances}",
                field=f"models.{name}.instances",
            )
        cores = runtime.cores_of(instances)
        for placement in placements(config, unit):
            if cores > placement.cpus:
                pool = f"pools.{placement.key.pool}." if config.units[unit].pools else ""
                raise ConfigError(
                    f"{instances} instances of {runtime.threads} threads need {cores} CPUs, got "
                    f"units.{unit}.{pool}cpus: {placement.cpus:g}; raise it to {cores}, or lower instances",
                    field=f"models.{name}.instances",
                )
