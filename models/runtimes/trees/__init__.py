"""Executes trees with the library that trained them, LightGBM or XGBoost."""
