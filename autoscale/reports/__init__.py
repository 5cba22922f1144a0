"""Reports on simulations and studies: HTML, charts, summaries and the CI gate."""
