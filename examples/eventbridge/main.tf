# Tells a gateway when a stream of Amazon IVS starts or ends: a rule, and an API destination that posts to it.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "gateway" {
  type        = string
  description = "The gateway's address, as https://gateway.example. EventBridge calls it from outside, by HTTPS only."
}

variable "secret" {
  type        = string
  sensitive   = true
  description = "The setting eventbridge.secret of the gateway, of at least 16 characters."
}

resource "aws_cloudwatch_event_rule" "streams" {
  name        = "cuegate-streams"
  description = "Streams of Amazon IVS that start or end"
  event_pattern = jsonencode({
    "source"      = ["aws.ivs"]
    "detail-type" = ["IVS Stream State Change"]
  })
}

resource "aws_cloudwatch_event_connection" "gateway" {
  name               = "cuegate"
  authorization_type = "API_KEY"

  auth_parameters {
    api_key {
      key   = "X-Cuegate-Secret"
      value = var.secret
    }
  }
}

resource "aws_cloudwatch_event_api_destination" "gateway" {
  name                             = "cuegate"
  invocation_endpoint              = "${var.gateway}/v1/eventbridge"
  http_method                      = "POST"
  invocation_rate_limit_per_second = 50
  connection_arn                   = aws_cloudwatch_event_connection.gateway.arn
}

resource "aws_iam_role" "rule" {
  name = "cuegate-eventbridge"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "rule" {
  name = "invoke"
  role = aws_iam_role.rule.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = "events:InvokeApiDestination"
      Resource = aws_cloudwatch_event_api_destination.gateway.arn
    }]
  })
}

resource "aws_cloudwatch_event_target" "gateway" {
  rule     = aws_cloudwatch_event_rule.streams.name
  arn      = aws_cloudwatch_event_api_destination.gateway.arn
  role_arn = aws_iam_role.rule.arn

  # A notice that is old says nothing any more: the gateway finds out by itself.
  retry_policy {
    maximum_event_age_in_seconds = 300
    maximum_retry_attempts       = 10
  }
}
