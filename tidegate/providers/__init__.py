"""Outbound HTTP and the catalogue of providers."""
