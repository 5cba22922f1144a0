"""A replica's served log and traffic log: their rows, the files, and the threads that write them."""
