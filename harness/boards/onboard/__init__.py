"""What runs on a board beside the replay: sent with the agent, Python 3.7, nothing but Python."""
