"""The report of a recipe: ``report.json``, and ``report.html`` with the same data."""
