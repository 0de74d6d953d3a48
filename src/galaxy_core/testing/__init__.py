"""Contract suites, in-memory adapters and a fake opencode, for our tests and for other people's."""
