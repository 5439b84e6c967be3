output "token_endpoint" {
  description = "Token endpoint URL for LiveKit's client SDKs"
  value       = "${aws_apigatewayv2_api.http.api_endpoint}/getToken"
}

output "function_name" {
  value = aws_lambda_function.token.function_name
}
