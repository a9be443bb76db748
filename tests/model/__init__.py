"""The operator as it is, on a cluster, NATS, wadm and hosts in memory, and time that jumps: for thousands of sequences.

The doubles show the operator what the real ones show it in such sequences, and no more: a test that passes here alone
proves nothing about a real API server or wadm.
"""
