"""The life of one request, from the first byte to the settled record."""
