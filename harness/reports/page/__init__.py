"""The report page: one HTML file of a run that asks nothing of the network."""
