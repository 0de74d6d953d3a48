"""Caduceus, the gateway: makes orders of what people say, and brings answers back."""
