"""Measures models against each other: sizes, memory and times, each model in a process of its own."""
