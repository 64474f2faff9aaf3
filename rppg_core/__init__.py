"""Heart rate from face video (rPPG): the pipeline that runs on a host and on a board."""

__version__ = "0.1.0"
