"""The responses adapter on files, beyond its contract."""
