"""The servers with which ``benchmarks/peers.py`` compares Rankway, each run in an environment of its own."""
