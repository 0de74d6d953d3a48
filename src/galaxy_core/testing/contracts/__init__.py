"""Contract suites: inherit one, give a fixture, and an adapter is held to its port."""
