"""RDS: clusters, their instances and snapshots, the keys they ask for, and how their status changes with time."""
