"""The served log of a replica: rows, the files they become, the thread between them; and what its features tell."""
