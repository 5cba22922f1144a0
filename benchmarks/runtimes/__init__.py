"""All runtimes in one run: scores, time of a call, time of a start, and memory."""
