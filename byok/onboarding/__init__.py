"""The onboarding kit: what a customer gets to make both keys right at the first try.

Every artefact comes from the statements in `byok.domain.iam.statements`: the CloudFormation templates, the Terraform
file and, with the commands of `byok.domain.onboarding.customer_commands`, the kit that holds all of it for one Region.
"""
