"""The log of what was served: Parquet files of shown lists and of the feedback to them; training reads it back."""
