"""Style checks of the texts in this repository; see the section Style of CONTRIBUTING.md."""
