"""What providers' exports of usage and cost say, one reader per format."""
