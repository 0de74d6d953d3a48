"""The chaos suite: the whole system as processes, in a seeded storm, and the books afterwards."""
