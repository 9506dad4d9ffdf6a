"""The onboarding kit: what a customer needs to create both keys correctly the first time.

Every artefact is generated from the statements in `byok.domain.iam.statements`: the CloudFormation templates, the
Terraform file, and the kit for one Region, which adds the commands of `byok.domain.onboarding.customer_commands`.
"""
