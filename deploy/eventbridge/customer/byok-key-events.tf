# OPTIONAL, customer's account: sends events about the two keys to the vendor's event bus, so that a lost key is reported
# at once instead of within minutes (docs/aws-events.md). Apply it in the Region of the keys. It grants no access to them.

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "platform_event_bus_arn" {
  type        = string
  description = "The ARN of the vendor's event bus. The vendor sends it to you."
}

variable "s3_kms_key_arn" {
  type        = string
  description = "The ARN of the S3 key."
}

variable "rds_kms_key_arn" {
  type        = string
  description = "The ARN of the Aurora key."
}

data "aws_caller_identity" "customer" {}

locals {
  keys = [var.s3_kms_key_arn, var.rds_kms_key_arn]
}

resource "aws_iam_role" "delivery" {
  name_prefix = "byok-key-events-"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.customer.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "delivery" {
  name = "send-key-events"
  role = aws_iam_role.delivery.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = "events:PutEvents"
      Resource = var.platform_event_bus_arn
    }]
  })
}

resource "aws_cloudwatch_event_rule" "kms" {
  name        = "byok-kms-events"
  description = "Events that KMS sends about the two keys."
  event_pattern = jsonencode({
    source        = ["aws.kms"]
    "detail-type" = ["KMS CMK Rotation", "KMS Imported Key Material Expiration", "KMS CMK Deletion"]
    resources     = local.keys
  })
}

resource "aws_cloudwatch_event_rule" "cloudtrail" {
  name        = "byok-kms-calls"
  description = "Calls that change the two keys. They need a CloudTrail trail that records management events."
  event_pattern = jsonencode({
    source        = ["aws.kms"]
    "detail-type" = ["AWS API Call via CloudTrail"]
    detail = {
      eventSource = ["kms.amazonaws.com"]
      eventName = [
        "CancelKeyDeletion",
        "DeleteImportedKeyMaterial",
        "DisableKey",
        "EnableKey",
        "PutKeyPolicy",
        "RevokeGrant",
        "ScheduleKeyDeletion",
      ]
      errorCode = [{ exists = false }]
      resources = { ARN = local.keys }
    }
  })
}

resource "aws_cloudwatch_event_target" "kms" {
  rule     = aws_cloudwatch_event_rule.kms.name
  arn      = var.platform_event_bus_arn
  role_arn = aws_iam_role.delivery.arn
}

resource "aws_cloudwatch_event_target" "cloudtrail" {
  rule     = aws_cloudwatch_event_rule.cloudtrail.name
  arn      = var.platform_event_bus_arn
  role_arn = aws_iam_role.delivery.arn
}
