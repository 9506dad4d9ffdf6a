"""CloudFormation for KMS keys, aliases and IAM roles: templates, parameters, stacks and change sets."""
