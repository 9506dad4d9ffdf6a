"""The onboarding kit: everything that a customer needs to create both keys correctly the first time.

The CloudFormation templates, the Terraform file and the kit for one Region are generated from the statements in
`byok.domain.iam.statements`. The kit also contains the commands of `byok.domain.onboarding.customer_commands`.
"""
