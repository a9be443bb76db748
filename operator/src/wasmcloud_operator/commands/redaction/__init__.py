"""What is secret in texts and objects that leave the cluster, and what is printed in its place."""
