"""`kubectl wasmcloud ui`: a local page that shows, live, what the other commands print."""
