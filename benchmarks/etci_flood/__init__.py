"""Flood mapping against plain loops."""
