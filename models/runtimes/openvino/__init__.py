"""OpenVINO on the CPU: compiling a graph, checking and padding its inputs, and executing it."""
