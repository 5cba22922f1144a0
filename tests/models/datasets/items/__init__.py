"""Tests of items from tables."""
