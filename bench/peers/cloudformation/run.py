"""CloudFormation through the AWS CLI: `aws cloudformation deploy`, one stack per environment."""

from pathlib import Path

from bench.peers.driver import EnvironmentSpec, provision_in_threads, run_program_or_raise

TEMPLATE = Path(__file__).with_name("template.yaml")


def provision(environment: EnvironmentSpec) -> None:
    name = environment["name"]
    keys = (f"S3KeyArn={environment['s3_key_arn']}", f"RdsKeyArn={environment['rds_key_arn']}")
    deploy = ("aws", "cloudformation", "deploy", "--stack-name", name, "--template-file", str(TEMPLATE))
    run_program_or_raise(*deploy, "--parameter-overrides", f"Name={name}", *keys)


if __name__ == "__main__":
    provision_in_threads(provision)
