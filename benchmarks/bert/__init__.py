"""BERT on CPUs, rung by rung: texts, models, worker processes, the rounds, and the path through the service."""
