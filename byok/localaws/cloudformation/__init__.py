"""CloudFormation of KMS keys and aliases: templates, parameters, stacks and change sets."""
