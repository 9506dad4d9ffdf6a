"""The activities, which call AWS. Before an activity creates a resource, it looks for an existing resource to adopt."""
