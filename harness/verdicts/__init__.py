"""Numbers from records, and what may be concluded from them: arrays in, values out."""
