"""Style checks for this repository's texts. The section Style in CONTRIBUTING.md has the rules."""
