"""Redis and Valkey as feature stores."""
