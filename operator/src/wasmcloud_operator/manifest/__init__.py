"""The reader of application manifests (OAM as wadm takes it)."""
