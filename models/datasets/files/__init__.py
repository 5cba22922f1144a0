"""A user's own files as an event log: tables, the roles of their columns, and problems in their rows."""
