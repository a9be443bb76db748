"""What the operator written in Rust (0.2 to 0.5.1) left behind: how it is recognised and taken over.

Its field managers and finalizers are the same in all versions. Its label `app.kubernetes.io/managed-by` is not: up to
0.5.0 it has the value that this operator uses as well, so nothing is recognised by that label alone.
"""
