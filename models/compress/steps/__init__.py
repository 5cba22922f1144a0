"""The steps of a recipe. A new step needs a descriptor in a module of this folder, and a line in ``registry``."""
