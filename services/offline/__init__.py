"""Work apart from the service: batch jobs over logs and stores."""
