"""The journal adapter on files, beyond its contract."""
