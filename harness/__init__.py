"""The host side: deploys the pipeline to boards, replays datasets there, and gates the figures."""
