"""Modules of PyTorch in one process: eager, compiled ahead of time, and as TorchScript."""
