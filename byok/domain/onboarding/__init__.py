"""What passes between the platform and a customer: the commands to run, and the payload that comes back."""
