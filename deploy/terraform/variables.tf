variable "name" {
  type        = string
  default     = "roompass"
  description = "Name of the function, its role, its log and its API"
}

variable "zip" {
  type        = string
  description = "Path of the function's zip, for the architecture below"
}

variable "secret_arn" {
  type        = string
  description = "Complete ARN of the secret with the keys, with the six characters after its name and without wildcards"

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}$", var.secret_arn))
    error_message = "secret_arn must be the complete ARN of one secret in AWS Secrets Manager."
  }
}

variable "origins" {
  type        = list(string)
  default     = []
  description = "Allowed CORS origins, such as https://app.example.com"
}

variable "architecture" {
  type        = string
  default     = "arm64"
  description = "arm64 or x86_64, as the zip was built for"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be arm64 or x86_64."
  }
}

variable "rate_limit" {
  type        = number
  default     = 100
  description = "Requests per second, sustained, above which the gateway returns 429"
}

variable "burst_limit" {
  type        = number
  default     = 200
  description = "Concurrent requests above which the gateway returns 429"
}

variable "log_retention_days" {
  type        = number
  default     = 30
  description = "Retention of the log, in days"
}

variable "alarm_topic_arn" {
  type        = string
  default     = ""
  description = "ARN of the SNS topic that is notified of alarms; empty for none"
}
