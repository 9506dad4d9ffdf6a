# Platform's account: sends events of RDS, and events about customers' keys, to byok (docs/aws-events.md).
# Apply this file in each Region in use. Terraform stores the secret in its state, so encrypt the state.

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "byok_url" {
  type        = string
  description = "The public URL of byok's web server, such as https://byok.example.com, without a slash at the end."

  validation {
    condition     = can(regex("^https://[A-Za-z0-9.:-]+$", var.byok_url))
    error_message = "The URL must begin with https:// and end with the host or the port."
  }
}

variable "event_secret" {
  type        = string
  sensitive   = true
  description = "The value of BYOK_API__AWS_EVENTS_SECRET."

  validation {
    condition     = length(var.event_secret) >= 32
    error_message = "The secret must have at least 32 characters."
  }
}

variable "resource_prefix" {
  type        = string
  default     = "byok"
  description = "The value of BYOK_VENDOR__RESOURCE_PREFIX."
}

variable "customer_accounts" {
  type        = list(string)
  default     = []
  description = "The AWS accounts of customers that send events about their keys; empty if no customer does."
}

data "aws_caller_identity" "platform" {}

locals {
  customers = length(var.customer_accounts) > 0 ? 1 : 0
}

resource "aws_cloudwatch_event_connection" "byok" {
  name               = "byok-aws-events"
  authorization_type = "API_KEY"

  auth_parameters {
    api_key {
      key   = "X-Byok-Event-Secret"
      value = var.event_secret
    }
  }
}

resource "aws_cloudwatch_event_api_destination" "byok" {
  name                             = "byok-aws-events"
  connection_arn                   = aws_cloudwatch_event_connection.byok.arn
  http_method                      = "POST"
  invocation_endpoint              = "${var.byok_url}/v1/events/aws"
  invocation_rate_limit_per_second = 5
}

resource "aws_iam_role" "delivery" {
  name_prefix = "byok-aws-events-"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.platform.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "delivery" {
  name = "invoke-byok"
  role = aws_iam_role.delivery.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = "events:InvokeApiDestination"
      Resource = aws_cloudwatch_event_api_destination.byok.arn
    }]
  })
}

resource "aws_sqs_queue" "undelivered" {
  name                      = "byok-undelivered-aws-events"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue_policy" "undelivered" {
  queue_url = aws_sqs_queue.undelivered.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.undelivered.arn
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.platform.account_id } }
    }]
  })
}

resource "aws_cloudwatch_event_rule" "rds" {
  name        = "byok-rds-events"
  description = "RDS lost or regained access to a key, or stopped or started a cluster."
  event_pattern = jsonencode({
    source        = ["aws.rds"]
    "detail-type" = ["RDS DB Instance Event", "RDS DB Cluster Event"]
    detail = {
      EventID          = ["RDS-EVENT-0418", "RDS-EVENT-0419", "RDS-EVENT-0420", "RDS-EVENT-0150", "RDS-EVENT-0151"]
      SourceIdentifier = [{ prefix = "${var.resource_prefix}-" }]
    }
  })
}

resource "aws_cloudwatch_event_target" "rds" {
  rule     = aws_cloudwatch_event_rule.rds.name
  arn      = aws_cloudwatch_event_api_destination.byok.arn
  role_arn = aws_iam_role.delivery.arn

  retry_policy {
    maximum_event_age_in_seconds = 900
    maximum_retry_attempts       = 20
  }

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }
}

resource "aws_cloudwatch_event_bus" "customers" {
  count = local.customers
  name  = "byok-customer-key-events"
}

resource "aws_cloudwatch_event_bus_policy" "customers" {
  count          = local.customers
  event_bus_name = aws_cloudwatch_event_bus.customers[0].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "customers-send-kms-events"
      Effect    = "Allow"
      Principal = { AWS = var.customer_accounts }
      Action    = "events:PutEvents"
      Resource  = aws_cloudwatch_event_bus.customers[0].arn
      Condition = { StringEquals = { "events:source" = "aws.kms" } }
    }]
  })
}

resource "aws_cloudwatch_event_rule" "keys" {
  count          = local.customers
  name           = "byok-key-events"
  description    = "A customer's key changed."
  event_bus_name = aws_cloudwatch_event_bus.customers[0].name
  event_pattern = jsonencode({
    source = ["aws.kms"]
    "detail-type" = [
      "KMS CMK Rotation",
      "KMS Imported Key Material Expiration",
      "KMS CMK Deletion",
      "AWS API Call via CloudTrail",
    ]
  })
}

resource "aws_cloudwatch_event_target" "keys" {
  count          = local.customers
  rule           = aws_cloudwatch_event_rule.keys[0].name
  event_bus_name = aws_cloudwatch_event_bus.customers[0].name
  arn            = aws_cloudwatch_event_api_destination.byok.arn
  role_arn       = aws_iam_role.delivery.arn

  retry_policy {
    maximum_event_age_in_seconds = 900
    maximum_retry_attempts       = 20
  }

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }
}

output "customer_event_bus_arn" {
  description = "Send this ARN to the customers that deploy byok-key-events."
  value       = one(aws_cloudwatch_event_bus.customers[*].arn)
}
