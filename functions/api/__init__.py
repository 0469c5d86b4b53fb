"""The HTTPS API: API Gateway's proxy events in, JSON out."""
