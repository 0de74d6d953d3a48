"""What ships for tests, tested itself."""
