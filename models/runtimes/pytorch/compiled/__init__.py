"""PyTorch models compiled to native code by AOTInductor.

- ``build.py`` compiles a package for this machine (``rankway models compile``), and ``ahead.py`` runs it.
- ``in_child.py`` compiles a package while a model is loaded, if there is none (``mode: compile``).
- ``packages.py`` keeps the packages of an artifact beside it, and ``target.py`` describes the machine of each.

This module imports no PyTorch, so that ``rankway models show`` is fast.
"""
