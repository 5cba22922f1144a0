"""The served log: Parquet files of shown lists and of feedback.

Training reads it.
"""
