"""The activities, which call AWS. Each one that creates a resource adopts an existing one if it fits the request."""
