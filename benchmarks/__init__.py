"""Speed and memory against named peers; never run by the tests."""
