"""RDS: clusters, their instances and snapshots, the keys they use, and how their status changes over time."""
