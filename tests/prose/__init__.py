"""Style checks of the texts in this repository. CONTRIBUTING.md has the rules, in its section Style."""
