"""Boards: inventory, connection, deployment; one module for each kind."""
