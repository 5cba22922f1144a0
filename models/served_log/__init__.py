"""The served log: Parquet files with shown lists and feedback, which training reads."""
