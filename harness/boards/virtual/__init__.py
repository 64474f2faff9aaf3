"""An aarch64 Debian board without hardware: built from packages, emulated, reached over SSH."""
