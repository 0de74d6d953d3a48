"""The outbox adapter on files, beyond its contract."""
