"""The lists on which layers are calibrated and measured, and the ranges of activations on them."""
