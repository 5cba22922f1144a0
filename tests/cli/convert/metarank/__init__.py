"""Tests of the converter for Metarank."""
