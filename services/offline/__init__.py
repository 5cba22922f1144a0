"""Work outside the service: batch jobs over logs and stores."""
