"""The CPU of one request from socket to socket, by process, thread and layer."""
