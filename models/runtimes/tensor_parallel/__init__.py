"""Layers that are split over ranks (``kind: deepspeed``)."""
