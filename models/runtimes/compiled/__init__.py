"""PyTorch models compiled by TorchInductor, in the process or ahead of time.

- ``in_process.py`` compiles while a model is loaded (``mode: compile``).
- ``build.py`` compiles a package for this machine (``rankway models compile``), ``ahead.py`` runs it (``mode: aot``).
- ``packages.py`` keeps the packages of an artifact beside it, and ``target.py`` describes the machine of each.

This module imports no PyTorch, so that ``rankway models show`` is fast.
"""
