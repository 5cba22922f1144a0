"""A release's models, which score its batches, and the cache for encoded histories."""
