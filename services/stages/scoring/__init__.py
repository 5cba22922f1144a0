"""The models of a release that score its batches, and the cache of encoded histories."""
