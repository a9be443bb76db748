"""The commands besides `run`; each is imported only when it is called."""
