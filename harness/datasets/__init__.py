"""Recordings and their labels: one module for each dataset format."""

from harness.datasets.base import Dataset, Labels, Progress, Recording
from harness.datasets.registry import DatasetEntry, load_datasets, open_dataset

__all__ = [
    "Dataset",
    "DatasetEntry",
    "Labels",
    "Progress",
    "Recording",
    "load_datasets",
    "open_dataset",
]
