"""The nouns: values that every floor above shares. No I/O, no clock, no randomness."""
