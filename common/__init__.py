"""What two or more competitions share; imports no competition."""
