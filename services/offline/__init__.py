"""Work beside the service: batch jobs over logs and stores."""
