"""What both sides stand on and neither owns: time, for how long to write, JSON documents."""
