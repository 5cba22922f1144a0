"""Parts of the benchmarks of shard groups: the ways to run a model, their times, and timelines of pipelines."""
