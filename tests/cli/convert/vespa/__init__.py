"""Tests of the converter for Vespa."""
