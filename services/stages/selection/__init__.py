"""Selecting the answered list: rules, diversity, and the order of the best candidates."""
