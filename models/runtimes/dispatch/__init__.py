"""One process whose weights are spread over GPUs, main memory and disk (``kind: accelerate`` without shards)."""
