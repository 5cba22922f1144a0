"""Tests of the converter for Triton."""
