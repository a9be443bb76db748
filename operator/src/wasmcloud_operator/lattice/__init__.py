"""The NATS side: connections, the wadm client, live hosts, the config service. Knows no Kubernetes."""
