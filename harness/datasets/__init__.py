"""Recordings and their labels: one module for each dataset format."""
