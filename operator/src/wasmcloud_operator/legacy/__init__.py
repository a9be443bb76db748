"""What the operator written in Rust left behind: how it is recognised and taken over."""
