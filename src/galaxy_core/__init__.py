"""Galaxy's core: the domain, the ports around it, the wire forms and the use cases."""
