"""What files looked like in each version of the protocol: see README.md."""
