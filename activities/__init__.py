"""The activities, which call AWS. Before an activity creates a resource, it looks for one that it can adopt."""
