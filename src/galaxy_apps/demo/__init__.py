"""First steps: a sample project, a Hermes on it, and one order from file to answer."""
