"""The served log and the traffic log of a replica: their rows, the files, and the threads that write them."""
