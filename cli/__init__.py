"""The ``rankway`` command: one module a command group, imported when it is called."""
