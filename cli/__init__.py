"""The ``rankway`` command. Each command group is a module that is imported only when it is called."""
