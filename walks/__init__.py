"""The reference application: walking routes in central Helsinki, from a street map to training data."""
