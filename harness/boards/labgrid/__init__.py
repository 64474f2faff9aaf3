"""Boards of a farm that labgrid shares out: a place instead of a lease, SSH as for any other."""
