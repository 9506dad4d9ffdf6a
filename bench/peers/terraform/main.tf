# One environment on existing keys.
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

variable "name" { type = string }
variable "region" { type = string }
variable "s3_key_arn" { type = string }
variable "rds_key_arn" { type = string }

provider "aws" {
  region            = var.region
  s3_use_path_style = true
}

data "aws_caller_identity" "us" {}

data "aws_kms_key" "s3" {
  key_id = var.s3_key_arn
}

data "aws_kms_key" "rds" {
  key_id = var.rds_key_arn
}

resource "aws_rds_cluster" "database" {
  cluster_identifier  = var.name
  engine              = "aurora-postgresql"
  master_username     = "postgres"
  master_password     = "a-password-of-no-use"
  storage_encrypted   = true
  kms_key_id          = data.aws_kms_key.rds.arn
  skip_final_snapshot = true
}

resource "aws_rds_cluster_instance" "writer" {
  identifier         = "${var.name}-writer"
  cluster_identifier = aws_rds_cluster.database.id
  instance_class     = "db.t4g.medium"
  engine             = aws_rds_cluster.database.engine
}

resource "aws_s3_bucket" "data" {
  bucket = "${var.name}-data"
}

resource "aws_s3_bucket_public_access_block" "data" {
  bucket                  = aws_s3_bucket.data.id
  block_public_acls       = true
  ignore_public_acls      = true
  block_public_policy     = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "data" {
  bucket = aws_s3_bucket.data.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "data" {
  bucket = aws_s3_bucket.data.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = data.aws_kms_key.s3.arn
    }
    bucket_key_enabled = true
  }
}

resource "aws_s3_bucket_policy" "data" {
  bucket = aws_s3_bucket.data.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:DeleteBucket"
      Resource  = aws_s3_bucket.data.arn
    }]
  })
}

resource "aws_s3_object" "verification" {
  bucket                 = aws_s3_bucket_versioning.data.bucket
  key                    = "verification"
  content                = "readable"
  content_type           = "text/plain"
  server_side_encryption = "aws:kms"
  kms_key_id             = data.aws_kms_key.s3.arn
}

data "aws_s3_object" "verification" {
  bucket = aws_s3_object.verification.bucket
  key    = aws_s3_object.verification.key
  lifecycle {
    postcondition {
      condition     = self.body == "readable"
      error_message = "The object that was read differs from the object that was written."
    }
  }
}

resource "aws_kms_alias" "key" {
  for_each      = { s3 = data.aws_kms_key.s3.arn, rds = data.aws_kms_key.rds.arn }
  name          = "alias/${var.name}-${each.key}"
  target_key_id = each.value
}
