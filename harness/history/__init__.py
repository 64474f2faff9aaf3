"""The history of a project: what every run found, in one SQLite file beside the raw records."""
