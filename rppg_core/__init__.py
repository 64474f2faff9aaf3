"""Heart rate from face video (rPPG): the pipeline that runs on a host and on a board."""

import os

__version__ = "0.1.0"

# OpenCV's and FFmpeg's own chatter about damaged files would hide the one line that matters.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
