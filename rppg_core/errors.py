"""The user's mistakes: each is one line that says what is wrong and what to do."""


class UserError(Exception):
    """A wrong option or input file; the message is one line for a person, no traceback needed."""


class VideoError(UserError):
    """A video that is missing, unreadable, truncated or too short."""


class NoFaceError(UserError):
    """No face was found in any frame that was searched."""


class ModelError(UserError):
    """A model file that is missing, altered or of a form the pipeline does not understand."""
